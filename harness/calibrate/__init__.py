"""Calibration: what this machine can do, how much its timings scatter, and how often the analysis
is wrong.
"""
