"""The commands: what they are called and what they take. Other modules of `harness.cli` do the work."""
