"""From a study to the trials that it needs."""
