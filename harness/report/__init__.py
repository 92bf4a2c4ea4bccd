"""From an analysis and its raw samples to one self-contained HTML file."""
