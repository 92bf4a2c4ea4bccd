"""Checks of a study that go beyond its schema."""
