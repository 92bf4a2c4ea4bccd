"""From stored samples to verdicts: frames, contrasts, claims."""
