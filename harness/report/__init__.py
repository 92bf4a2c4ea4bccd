"""The report: one self-contained HTML file, from an analysis and its raw samples."""
