"""Decoding: pure functions over the small protocol of `models.decoding.base`."""
