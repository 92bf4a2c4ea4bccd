"""The machine that trials run on: its code, environment, matmul route and calibration."""
