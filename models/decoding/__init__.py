"""Decoding: pure functions over the small protocol of `harness.models.decoding.base`."""
