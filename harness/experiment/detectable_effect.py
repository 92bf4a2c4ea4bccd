"""The smallest effect that a design can see, from the scatter of earlier runs where the store has one."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from harness.metrics import metric
from harness.statistics import smallest_detectable
from harness.store.store import open_store

if TYPE_CHECKING:
    from harness.experiment.experiment import Place
    from harness.store.rows import Run
    from harness.store.store import Store
    from harness.study.loaded import LoadedStudy

ASSUMED = 0.05
"""The scatter that is reckoned with while no run says how much there is: that of timings on a machine that is
not idle.
"""

UNKNOWN = "not known before a first run"

Cell = tuple[str, str]
Pair = tuple[int, int]
Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Detectable:
    """`effect` comes out with probability about 0.8, where pairs scatter by `scatter`.

    Of what is compared by ratios it is relative and the scatter the SD of log ratios; of what is compared by
    differences both are in the metric's own unit, and None before a run has told how much pairs scatter. The
    effect is None for designs too small to decide anything, too, and 0 for what is counted exactly. Scores of
    text have none: `half_width` is that of the widest 95 % interval that a run had, over `pairs` sentences.
    """

    metric: str
    effect: float | None
    scatter: float | None
    pairs: int
    source: str
    half_width: float | None = None

    def data(self) -> dict[str, Any]:
        return asdict(self)


def detectable(loaded: LoadedStudy, place: Place) -> Detectable:
    """Of the primary metric.

    What scatters is taken from the newest honest run of this study at this scale.
    """
    record = metric(loaded.study.primary)
    pairs = loaded.study.design.pairs(record.paired_over)
    if record.exact:
        return Detectable(metric=record.name, effect=0.0, scatter=0.0, pairs=pairs, source="counted exactly")
    if record.paired_over == "sentences":
        return _of_sentences(loaded, place, pairs)
    found = _earlier(loaded, place, _scatter)
    if found is None and record.compared_by == "differences":
        return Detectable(metric=record.name, effect=None, scatter=None, pairs=pairs, source=UNKNOWN)
    scatter, source = found or (ASSUMED, "no earlier run says how much; assumed")
    shift = smallest_detectable(pairs, scatter)
    effect = None
    if math.isfinite(shift):
        effect = math.expm1(shift) if record.compared_by == "ratios" else shift
    return Detectable(metric=record.name, effect=effect, scatter=scatter, pairs=pairs, source=source)


def _of_sentences(loaded: LoadedStudy, place: Place, pairs: int) -> Detectable:
    found = _earlier(loaded, place, _interval)
    (half_width, number), source = found or ((None, pairs), UNKNOWN)
    return Detectable(
        metric=loaded.study.primary,
        effect=None,
        scatter=None,
        pairs=number,
        source=source,
        half_width=half_width,
    )


def _earlier(
    loaded: LoadedStudy, place: Place, told: Callable[[Store, Run, LoadedStudy], Found | None]
) -> tuple[Found, str] | None:
    """What the newest run that tells anything tells, and which it is."""
    if not place.has_store():
        return None
    with open_store(place.location) as store:
        for run in reversed(store.runs(loaded.study.study)):
            if run.scale == loaded.scale and run.plant is None:
                found = told(store, run, loaded)
                if found is not None:
                    return found, f"as in run {run.id}"
    return None


def _scatter(store: Store, run: Run, loaded: LoadedStudy) -> float | None:
    """The SD within arms and conditions of ln(arm / baseline), or of arm − baseline where differences are
    compared, pooled.

    None where no arm has two pairs that are numbers.
    """
    from harness.analysis.frames import run_frames, trial_values

    samples = run_frames(store, run).samples
    record = metric(loaded.study.primary)
    values = trial_values(samples[(samples["purpose"] == "measure") & (samples["metric"] == record.name)])
    by_ratios = record.compared_by == "ratios"
    cells: dict[Cell, dict[Pair, float]] = defaultdict(dict)
    columns = (values[name].tolist() for name in ("arm", "condition", "round", "seed", "value"))
    for arm, condition, number, seed, value in zip(*columns, strict=True):
        if math.isfinite(value) and (value > 0 or not by_ratios):
            told = math.log(value) if by_ratios else value
            cells[arm, condition][number if record.paired_over == "rounds" else 1, seed] = told
    variances = []
    for (arm, condition), own in cells.items():
        baseline = cells.get((loaded.baseline.name, condition), {})
        pairs = [own[pair] - baseline[pair] for pair in own.keys() & baseline.keys()]
        if arm != loaded.baseline.name and len(pairs) > 1:
            variances.append((statistics.variance(pairs), len(pairs) - 1))
    freedom = sum(weight for _, weight in variances)
    return math.sqrt(sum(variance * weight for variance, weight in variances) / freedom) if freedom else None


def _interval(store: Store, run: Run, loaded: LoadedStudy) -> tuple[float, int] | None:
    """Half of the widest 95 % interval that an arm's difference from the baseline had, and the sentences that
    it is over.

    None where no arm can be compared, as where the run has not finished.
    """
    from harness.analysis.contrasts import estimated
    from harness.analysis.frames import run_frames, trial_values
    from harness.analysis.trial_table import TrialTable

    frames, record = run_frames(store, run), metric(loaded.study.primary)
    samples = frames.samples
    values = trial_values(samples[(samples["purpose"] == "measure") & (samples["metric"] == record.name)])
    cells = TrialTable(loaded=loaded, values=values, sentences=frames.sentences)
    found = [
        estimated(cells, record, (arm, loaded.baseline), condition)
        for condition in loaded.conditions
        for arm in loaded.arms[1:]
    ]
    widths = [((each.high - each.low) / 2, each.n) for each in found if math.isfinite(each.high - each.low)]
    return max(widths, default=None)
