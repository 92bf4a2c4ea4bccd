"""From evidence to the verdict of each claim."""
