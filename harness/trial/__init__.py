"""What one trial is, and the protocol by which its worker reports."""
