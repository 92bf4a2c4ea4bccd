"""Running trials: the driver plans, submits, records and resumes them, and workers run them in processes."""
