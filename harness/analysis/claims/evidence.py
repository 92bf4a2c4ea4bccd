"""What claims are settled on, and the shape of a settlement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.analysis.frames import RunFrames
from harness.analysis.results import ClaimVerdict, Numbers
from harness.analysis.trial_table import TrialTable
from harness.study.loaded import LoadedStudy


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of a claim, before it is put together with what it says."""

    verdict: ClaimVerdict
    effect: str = "–"
    interval: str = "–"
    claimed: str = "–"
    n: int = 0
    sentence: str
    numbers: Numbers = field(default_factory=Numbers)
    basis: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that claims are settled on."""

    loaded: LoadedStudy
    frames: RunFrames
    cells: TrialTable
    invalid: Mapping[str, str]

    @property
    def doubts(self) -> str:
        """Why not every arm counts, empty where each does; a broken baseline, and a reason that arms share,
        is told once.
        """
        baseline = self.loaded.baseline.name
        if baseline in self.invalid:
            name = self.loaded.label(baseline)
            told = "the baseline" if name == "baseline" else f"the baseline {name}"
            return f"{told} does not count: {self.invalid[baseline]}"
        arms: dict[str, list[str]] = {}
        for arm, reason in self.invalid.items():
            arms.setdefault(reason, []).append(self.loaded.label(arm))
        return "; ".join(
            f"{', '.join(names)} {'does' if len(names) == 1 else 'do'} not count: {reason}"
            for reason, names in arms.items()
        )
