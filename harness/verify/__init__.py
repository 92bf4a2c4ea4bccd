"""Verification of a report against the store that it was made from."""
