"""Programs of other people: their files, their command lines, and the values that they report."""
