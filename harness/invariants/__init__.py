"""What a switch must not change.

One file an invariant, with its planted mutants; torch is imported when checking.
"""
