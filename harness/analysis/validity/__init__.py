"""What makes a number count: work, order, references."""
