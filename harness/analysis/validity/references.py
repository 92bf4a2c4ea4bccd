"""Trainings that learn faster than their reference: too good to count."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.frames import RunFrames
from harness.metrics import metric
from harness.study.loaded import LoadedStudy
from harness.wording import number_text


def too_fast(loaded: LoadedStudy, frames: RunFrames, arm: str) -> Iterator[str]:
    """Why the arm does not count: its trainings, or one of a model that arms share, are below a declared
    reference.
    """
    samples = frames.samples
    own = samples[samples["arm"].isin([arm, ""]) & samples["purpose"].isin(["measure", "train"])]
    for reference in loaded.study.references:
        early = own[(own["metric"] == reference.metric) & (own["step"] < reference.updates)]
        below = early[early["value"] < reference.at_least]
        if len(below):
            first = below.sort_values("step", kind="stable").iloc[0]
            yield (
                f"faster than its reference: {metric(reference.metric).label} {number_text(float(first['value']))} after "
                f"{int(first['step']) + 1} updates (seed {int(first['seed'])}), where {reference.source} has at least "
                f"{number_text(reference.at_least)} until update {reference.updates}"
            )
