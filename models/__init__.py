"""The transformer: one idea a file. It knows nothing of the harness that studies it."""
