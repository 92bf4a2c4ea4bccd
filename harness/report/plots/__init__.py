"""The figures. In each file, one pure function computes what to draw and another function draws it."""
