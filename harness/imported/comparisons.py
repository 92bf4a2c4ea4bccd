"""Each arm of a file against the baseline, on each metric, by the procedures of every study."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from harness.analysis.contrasts import ContrastQuestion, judged
from harness.analysis.results import Contrast
from harness.analysis.trial_table import TrialTable
from harness.analysis.validity.replicates import ENOUGH_EQUAL
from harness.config import canonical_json
from harness.imported.columns import Columns, is_named
from harness.imported.options import FileOptions
from harness.imported.values import FileValue, FileValues
from harness.metrics import Better, Metric, declared
from harness.statistics import largest_family
from harness.study.arms import Combination, conditions
from harness.study.declared_metric import DeclaredMetric
from harness.study.loaded import LoadedStudy, Study
from harness.wording import count

FileVerdict = Literal[
    "better, not randomised",
    "worse, not randomised",
    "equivalent, not randomised",
    "identical",
    "undecided",
    "invalid",
]
_VERDICTS: Mapping[str, FileVerdict] = {
    "better": "better, not randomised",
    "worse": "worse, not randomised",
    "equivalent": "equivalent, not randomised",
    "identical": "identical",
    "undecided": "undecided",
    "invalid": "invalid",
}
NO_DIRECTION = "nobody said whether lower or higher is better (--lower or --higher)"
_DIGITS_OF_ONE_TRIAL = 7
"""Two trials hardly ever agree on a value in as many digits."""


@dataclass(frozen=True, kw_only=True)
class ArmComparison:
    """An arm against the baseline on one metric. `numbers` has the effect and its intervals; its own verdict
    is that of randomised trials, and is replaced by `verdict` here.
    """

    metric: str
    arm: str
    baseline: str
    better: Better
    numbers: Contrast
    record: Metric
    verdict: FileVerdict
    reason: str

    def data(self) -> dict[str, Any]:
        """The comparison for a program. The interval has the level at which the verdict was decided."""
        contrast = self.numbers
        return {
            "metric": self.metric,
            "arm": self.arm,
            "baseline": self.baseline,
            "better": None if self.better == "neither" else self.better,
            "compared_by": "ratio" if self.record.compared_by == "ratios" else "difference",
            "n": contrast.n,
            "value": contrast.value,
            "baseline_value": contrast.baseline_value,
            "effect": contrast.effect,
            "level": 1 - contrast.alpha,
            "low": contrast.low,
            "high": contrast.high,
            "p": contrast.p,
            "p_adjusted": contrast.p_adjusted,
            "margin": contrast.margin or None,
            "relevant": contrast.relevant,
            "verdict": self.verdict,
            "reason": self.reason,
        }


def compare_arms(
    values: FileValues, columns: Columns, options: FileOptions, baseline: str
) -> tuple[ArmComparison, ...]:
    """Every other arm against the baseline on every metric, in the order of the file. On each metric the arms
    are one family of Holm's procedure.
    """
    others = [arm for arm in values.arms if arm != baseline]
    records = {name: _record(name, columns, options) for name in values.values}
    asked = [
        _Asked(
            metric=name,
            record=records[name],
            arm=arm,
            baseline=baseline,
            columns=columns,
            values=_by_pair(values.values[name]),
        )
        for name in records
        for arm in others
    ]
    with declared({record.name: record for record in records.values()}):
        contrasts = judged([one.question() for one in asked])
    return tuple(one.decided(contrast, len(others)) for one, contrast in zip(asked, contrasts, strict=True))


def pairs_needed(family: int) -> int:
    """The fewest pairs that can decide anything in a family of so many comparisons."""
    return next(n for n in itertools.count(1) if largest_family(n) >= family)


def _record(name: str, columns: Columns, options: FileOptions) -> Metric:
    """The record of a metric of the file. No metric of the harness has such a name."""
    better: Better = "neither"
    if is_named(name, options.lower):
        better = "lower"
    elif is_named(name, options.higher):
        better = "higher"
    record = DeclaredMetric(
        better=better,
        compared_by="difference" if is_named(name, options.difference) else "ratio",
        paired_over="seeds" if columns.paired_by == "seed" else "rounds",
    ).record(f"column {name}")
    margins = [margin for given, margin in options.margins.items() if is_named(name, (given,))]
    return replace(record, margin=margins[0]) if margins else record


def _by_pair(values: Mapping[tuple[str, str], FileValue]) -> dict[str, dict[str, FileValue]]:
    """arm → pair → value."""
    arms: dict[str, dict[str, FileValue]] = {}
    for (arm, pair), value in values.items():
        arms.setdefault(arm, {})[pair] = value
    return arms


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One comparison: its values by arm and pair, and everything that a study would declare about it."""

    metric: str
    record: Metric
    arm: str
    baseline: str
    columns: Columns
    values: Mapping[str, Mapping[str, FileValue]]

    @property
    def sides(self) -> tuple[Mapping[str, FileValue], Mapping[str, FileValue]]:
        return self.values[self.arm], self.values[self.baseline]

    @property
    def pairs(self) -> list[str]:
        """The seeds or rounds of which both arms have a value."""
        arm, baseline = self.sides
        return sorted(arm.keys() & baseline.keys(), key=pair_order)

    def question(self) -> ContrastQuestion:
        """The comparison as a study of two arms, whose seeds or rounds are the pairs."""
        factor = self.columns.arm
        arms = tuple(
            Combination(levels={factor: index}, names={factor: arm})
            for index, arm in enumerate((self.baseline, self.arm))
        )
        loaded = _study(arms, self.columns, max(1, len(self.pairs)))
        table = TrialTable(loaded=loaded, values=self._frame(arms), order_known=False)
        condition = loaded.conditions[0]
        return ContrastQuestion(
            table=table, metric=self.record.name, arm=arms[1], condition=condition, invalid=self._invalid()
        )

    def decided(self, contrast: Contrast, family: int) -> ArmComparison:
        """The comparison with its verdict. What cannot be known from a file is never claimed."""
        verdict, reason = contrast.verdict, contrast.reason
        pairs, needed = count(contrast.n, self.columns.paired_by), pairs_needed(family)
        if not self.pairs:
            reason = self._invalid()
        elif verdict != "invalid" and contrast.n < pairs_needed(1):
            verdict, reason = "undecided", f"{pairs} cannot decide; at least {needed} are needed"
        elif verdict not in ("invalid", "identical") and self.record.better == "neither":
            verdict, reason = "undecided", NO_DIRECTION
        elif verdict == "undecided" and contrast.n < needed:
            reason = f"{pairs} cannot decide between {family + 1} arms; at least {needed} are needed"
        return ArmComparison(
            metric=self.metric,
            arm=self.arm,
            baseline=self.baseline,
            better=self.record.better,
            numbers=contrast,
            record=self.record,
            verdict=_VERDICTS[verdict],
            reason=reason,
        )

    def _invalid(self) -> str:
        if not self.pairs:
            return f"no {self.columns.paired_by} has values of both arms"
        return "; ".join(
            filter(None, (self._unequal_steps(), *map(self._repeated, (self.arm, self.baseline))))
        )

    def _unequal_steps(self) -> str:
        used = [side[pair] for side in self.sides for pair in self.pairs]
        steps = [(one.step, one.line) for one in used if one.step is not None]
        if not steps or min(steps)[0] == max(steps)[0]:
            return ""
        (first, line), (last, _) = min(steps), max(steps)
        return (
            f"the last step is {first} in one trial (line {line}) and {last} in another one, so the trials "
            "did not do equal work"
        )

    def _repeated(self, arm: str) -> str:
        """Why the seeds of an arm are no replicates, by the rule of a study; empty if they may be."""
        if self.columns.paired_by != "seed":
            return ""
        values = {pair: self.values[arm][pair] for pair in self.pairs}
        finite = {pair: one for pair, one in values.items() if math.isfinite(one.value)}
        if len(finite) >= ENOUGH_EQUAL and len({one.value for one in finite.values()}) == 1:
            return f"all seeds of {arm!r} have the same value, so they are no replicates"
        seen: dict[float, FileValue] = {}
        for one in finite.values():
            if one.value in seen and _digits(one.value) >= _DIGITS_OF_ONE_TRIAL:
                lines = f"lines {seen[one.value].line} and {one.line}"
                return (
                    f"two seeds of {arm!r} have the same value to the last digit ({lines}): it is one trial"
                )
            seen[one.value] = one
        return ""

    def _frame(self, arms: Sequence[Combination]) -> pd.DataFrame:
        """The values as `harness.analysis.frames.trial_values` gives those of a run."""
        by_seed = self.columns.paired_by == "seed"
        rows = [
            {
                "purpose": "measure",
                "arm": arm.name,
                "condition": canonical_json({}),
                "seed": index if by_seed else 0,
                "round": 1 if by_seed else index + 1,
                "position": 0,
                "session": 1,
                "metric": self.record.name,
                "value": self.values[arm.names[self.columns.arm]][pair].value,
                "samples": 1,
            }
            for index, pair in enumerate(self.pairs)
            for arm in arms
        ]
        names = [
            "purpose",
            "arm",
            "condition",
            "seed",
            "round",
            "position",
            "session",
            "metric",
            "value",
            "samples",
        ]
        frame = pd.DataFrame(rows, columns=names)
        frame.insert(0, "trial", range(len(frame)))
        return frame


def _study(arms: tuple[Combination, ...], columns: Columns, pairs: int) -> LoadedStudy:
    declared_study = Study.read(
        {
            "study": "file",
            "question": "Which arm is better?",
            "task": "command",
            "base": {},
            "compare": {"arm": ["baseline", "other"]},
            "design": {"seeds" if columns.paired_by == "seed" else "rounds": pairs},
            "primary": "file",
        }
    )
    return LoadedStudy(
        path=Path("file.yaml"),
        source="",
        scale="file",
        study=declared_study,
        arms=arms,
        conditions=conditions(declared_study),
        tasks={},
    )


def pair_order(pair: str) -> tuple[float, str]:
    """Numbers in their order, then texts."""
    try:
        return float(pair), ""
    except ValueError:
        return math.inf, pair


def _digits(value: float) -> int:
    """The significant digits of the shortest text that gives this value."""
    mantissa = repr(abs(value)).partition("e")[0].replace(".", "")
    return len(mantissa.strip("0"))
