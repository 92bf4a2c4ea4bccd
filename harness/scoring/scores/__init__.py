"""The scores. Each module of this package holds one or more of them, as its `SCORES`."""
