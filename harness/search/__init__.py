"""The search for better settings: points are asked from Optuna, run by the driver, and told."""
