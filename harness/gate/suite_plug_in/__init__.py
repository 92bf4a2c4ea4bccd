"""The folder that `harness gate` adds to the path of the Python that runs a suite. That Python needs nothing
else of the harness.
"""
