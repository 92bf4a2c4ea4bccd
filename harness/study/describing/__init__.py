"""What a study may say: every setting with its type, default, bounds and description."""
