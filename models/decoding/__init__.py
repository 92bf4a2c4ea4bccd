"""Decoding: functions over the small protocols of `harness.models.decoding.base`."""
