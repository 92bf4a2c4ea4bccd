"""A metric that is computed from two others, in every task that records both."""

from __future__ import annotations

from harness.metrics import DerivedMetric

generalisation_gap = DerivedMetric(
    name="generalisation_gap",
    unit="nats/token",
    better="lower",
    compared_by="differences",
    paired_over="seeds",
    margin=0.5,
    margin_group="gap",
    per_trial="last",
    summary="validation loss minus the last training loss",
    computed_from=("validation_loss", "loss"),
    compute=lambda validation, training: validation - training,
)
