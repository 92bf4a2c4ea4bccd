"""The harness measured: what this machine can do, how much it scatters, and how often the analysis is wrong."""
