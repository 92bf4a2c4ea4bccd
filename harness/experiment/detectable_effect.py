"""The smallest effect that a design can detect, given the scatter in earlier runs of the study."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from harness.metrics import metric
from harness.statistics import signed_rank_procedure, smallest_detectable
from harness.store.store import open_store

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.frames import RunFrames
    from harness.experiment.workspace import Workspace
    from harness.study.loaded import LoadedStudy

ASSUMED = 0.05
"""The scatter that is assumed before a first run. Timings scatter this much on a machine that is not idle."""

UNKNOWN = "not known before a first run"

Cell = tuple[str, str]
Pair = tuple[int, int]
Figure = TypeVar("Figure")


@dataclass(frozen=True, kw_only=True)
class DetectableEffect:
    """The effect on `metric` that is detected with a probability of about 0.8, if pairs scatter by `scatter`.

    For a metric that is compared by ratios, the effect is relative and the scatter is the standard deviation
    of log ratios. For a metric that is compared by differences, both are in its unit, and both are None
    before a first run. The effect is also None if the design is too small to decide anything, and 0 if the
    metric is counted exactly. `procedure` says how p and intervals of so many pairs are computed. Scores of
    text have no effect here, but a `half_width`: half the width of the widest 95 % interval of a run, over
    `pairs` sentences.
    """

    metric: str
    effect: float | None
    scatter: float | None
    pairs: int
    source: str
    procedure: str | None = None
    half_width: float | None = None

    def data(self) -> dict[str, Any]:
        return asdict(self)


def detectable_effect(loaded: LoadedStudy, workspace: Workspace) -> DetectableEffect:
    """The detectable effect on the primary metric. The scatter is that of the newest run at this scale
    without a planted bug.
    """
    record = metric(loaded.study.primary)
    pairs = loaded.study.design.pairs(record.paired_over)
    effect: float | None = None
    scatter: float | None = None
    half_width: float | None = None
    procedure: str | None = None
    if record.exact:
        effect, scatter, source = 0.0, 0.0, "counted exactly"
    elif record.paired_over == "sentences":
        width, source = _from_newest_run(loaded, workspace, _widest_interval) or (None, UNKNOWN)
        if width is not None:
            half_width, pairs = width
    else:
        procedure = signed_rank_procedure(pairs)
        measured = _from_newest_run(loaded, workspace, _scatter)
        if measured is not None:
            scatter, source = measured
        elif record.compared_by == "ratios":
            scatter, source = ASSUMED, "assumed, because there is no earlier run"
        else:
            source = UNKNOWN
        shift = math.inf if scatter is None else smallest_detectable(pairs, scatter)
        if math.isfinite(shift):
            effect = _relative(shift) if record.compared_by == "ratios" else shift
    return DetectableEffect(
        metric=record.name,
        effect=effect,
        scatter=scatter,
        pairs=pairs,
        source=source,
        procedure=procedure,
        half_width=half_width,
    )


def _relative(shift: float) -> float:
    """The relative change of a shift of the logarithm; infinite if a float would overflow."""
    try:
        return math.expm1(shift)
    except OverflowError:
        return math.inf


def _from_newest_run(
    loaded: LoadedStudy, workspace: Workspace, read: Callable[[RunFrames, LoadedStudy], Figure | None]
) -> tuple[Figure, str] | None:
    """The figure of the newest run that has one, and a text that names the run."""
    if not workspace.has_store():
        return None
    with open_store(workspace.location) as store:
        for run in reversed(store.runs(loaded.study.study)):
            if run.scale == loaded.scale and run.plant is None:
                from harness.analysis.frames import (
                    unchecked_frames,
                )  # it imports pandas, which takes half a second

                figure = read(unchecked_frames(store, run), loaded)
                if figure is not None:
                    return figure, f"as in run {run.id}"
    return None


def _scatter(frames: RunFrames, loaded: LoadedStudy) -> float | None:
    """The standard deviation of the effects of single pairs, pooled over arms and conditions.

    None if no arm has two pairs.
    """
    logarithmic = metric(loaded.study.primary).compared_by == "ratios"
    cells = _values_by_pair(frames, loaded)
    deviations: list[float] = []
    freedom = 0
    for (arm, condition), values in cells.items():
        baseline = cells[loaded.baseline.name, condition] if arm != loaded.baseline.name else {}
        effects = [
            math.log(values[pair]) - math.log(baseline[pair])
            if logarithmic
            else values[pair] - baseline[pair]
            for pair in values.keys() & baseline.keys()
        ]
        effects = [effect for effect in effects if math.isfinite(effect)]
        if len(effects) > 1:
            centre = math.fsum(effect / len(effects) for effect in effects)
            deviations += [effect - centre for effect in effects]
            freedom += len(effects) - 1
    return math.hypot(*deviations) / math.sqrt(freedom) if freedom else None


def _values_by_pair(frames: RunFrames, loaded: LoadedStudy) -> defaultdict[Cell, dict[Pair, float]]:
    """(arm, condition) → (round, seed) → the value of the trial. A value that cannot be compared is
    left out.
    """
    record = metric(loaded.study.primary)
    values = _primary_values(frames, loaded)
    cells: defaultdict[Cell, dict[Pair, float]] = defaultdict(dict)
    columns = (values[name].tolist() for name in ("arm", "condition", "round", "seed", "value"))
    for arm, condition, number, seed, value in zip(*columns, strict=True):
        if math.isfinite(value) and (value > 0 or record.compared_by == "differences"):
            cells[arm, condition][number if record.paired_over == "rounds" else 1, seed] = value
    return cells


def _widest_interval(frames: RunFrames, loaded: LoadedStudy) -> tuple[float, int] | None:
    """Half the width of the widest 95 % interval of a difference from the baseline, and its number of
    sentences. None if no arm can be compared, for example in a run that has not finished.
    """
    from harness.analysis.contrasts import estimated
    from harness.analysis.trial_table import TrialTable

    cells = TrialTable(loaded=loaded, values=_primary_values(frames, loaded), sentences=frames.sentences)
    contrasts = [
        estimated(cells, metric(loaded.study.primary), (arm, loaded.baseline), condition)
        for condition in loaded.conditions
        for arm in loaded.arms[1:]
    ]
    widths = [((one.high - one.low) / 2, one.n) for one in contrasts if math.isfinite(one.high - one.low)]
    return max(widths, default=None)


def _primary_values(frames: RunFrames, loaded: LoadedStudy) -> pd.DataFrame:
    return frames.values("measure", only=loaded.study.primary)
