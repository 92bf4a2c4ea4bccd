"""Figures: in each file a pure function says what to draw, and another one draws it."""
