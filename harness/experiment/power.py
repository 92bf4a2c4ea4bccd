"""The smallest effect that a design can see, from the scatter of earlier runs where the store has one."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.metrics import metric
from harness.statistics import smallest_detectable
from harness.store.store import open_store

if TYPE_CHECKING:
    from harness.experiment.experiment import Place
    from harness.store.rows import Run
    from harness.store.store import Store
    from harness.study.load import LoadedStudy

ASSUMED = 0.05
"""The scatter that is reckoned with while no run says how much there is: that of timings on a machine that is not idle."""

Cell = tuple[str, str]
Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Detectable:
    """`effect`, relative, comes out with probability about 0.8, where pairs scatter by `scatter`, the SD of their log ratios.

    It is None for designs too small to decide anything, and 0 for what is counted exactly.
    """

    metric: str
    effect: float | None
    scatter: float
    pairs: int
    source: str

    def data(self) -> dict[str, Any]:
        return asdict(self)


def detectable(loaded: LoadedStudy, place: Place) -> Detectable | None:
    """Of the primary metric, None where it is not compared by ratios. The scatter is that of the newest honest run of this study
    at this scale.
    """
    record = metric(loaded.study.primary)
    if record.compared_by != "ratios":
        return None
    pairs = loaded.study.design.pairs(record.paired_over)
    if record.family == "bytes":
        return Detectable(metric=record.name, effect=0.0, scatter=0.0, pairs=pairs, source="counted exactly")
    found = _earlier(loaded, place)
    scatter, source = found or (ASSUMED, "no earlier run says how much; assumed")
    shift = smallest_detectable(pairs, scatter)
    effect = math.expm1(shift) if math.isfinite(shift) else None
    return Detectable(metric=record.name, effect=effect, scatter=scatter, pairs=pairs, source=source)


def _earlier(loaded: LoadedStudy, place: Place) -> tuple[float, str] | None:
    if not place.has_store():
        return None
    with open_store(place.location) as store:
        runs = store.runs(loaded.study.study)
        for run in reversed(runs):
            if run.scale == loaded.scale and run.plant is None:
                scatter = _scatter(store, run, loaded)
                if scatter is not None:
                    return scatter, f"as in run {run.id}"
    return None


def _scatter(store: Store, run: Run, loaded: LoadedStudy) -> float | None:
    """The SD within arms and conditions of ln(arm / baseline), pooled; None where no arm has two pairs that are numbers."""
    from harness.analysis.frames import run_frames, trial_values

    samples = run_frames(store, run).samples
    record = metric(loaded.study.primary)
    values = trial_values(samples[(samples["purpose"] == "measure") & (samples["metric"] == record.name)])
    logs: dict[Cell, dict[Pair, float]] = defaultdict(dict)
    columns = (values[name].tolist() for name in ("arm", "condition", "round", "seed", "value"))
    for arm, condition, number, seed, value in zip(*columns, strict=True):
        if value > 0 and math.isfinite(value):
            logs[arm, condition][number if record.paired_over == "rounds" else 1, seed] = math.log(value)
    variances = []
    for (arm, condition), own in logs.items():
        baseline = logs.get((loaded.baseline.name, condition), {})
        ratios = [own[pair] - baseline[pair] for pair in own.keys() & baseline.keys()]
        if arm != loaded.baseline.name and len(ratios) > 1:
            variances.append((statistics.variance(ratios), len(ratios) - 1))
    freedom = sum(weight for _, weight in variances)
    return math.sqrt(sum(variance * weight for variance, weight in variances) / freedom) if freedom else None
