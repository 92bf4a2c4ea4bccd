"""The machine that trials run on: its environment, matrix products, calibration and code."""
