"""What a trial does, in its own process: each task a config and a `run`."""
