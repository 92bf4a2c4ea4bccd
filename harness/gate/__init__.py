"""The regression gate: the benchmarks of a working tree against those of a baseline, on one machine."""
