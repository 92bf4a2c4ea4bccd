"""The harness: declared studies in, reports with verdicts out."""
