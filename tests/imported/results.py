"""Files of results, written for tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.imported import FileAnalysis, FileOptions, analyse_file
from harness.imported.comparisons import ArmComparison


def csv_file(folder: Path, lines: Iterable[str], name: str = "runs.csv") -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def losses(
    effects: Mapping[str, float], seeds: int, *, noise: float = 0.005, draw: int = 1
) -> dict[str, list[float]]:
    """arm → a loss for each seed. `effects` are the true ratios to 2.3; seeds differ by 5 %."""
    random = np.random.default_rng(draw)
    level = 2.3 * np.exp(random.normal(0, 0.05, seeds))
    return {
        arm: [float(one) for one in level * effect * np.exp(random.normal(0, noise, seeds))]
        for arm, effect in effects.items()
    }


def rows(values: Mapping[str, Sequence[float]], head: str = "arm,seed,loss") -> list[str]:
    """The lines of a CSV file."""
    return [head, *(f"{arm},{seed},{x!r}" for arm, side in values.items() for seed, x in enumerate(side))]


def analysed(folder: Path, lines: Iterable[str], **options: object) -> FileAnalysis:
    return analyse_file(csv_file(folder, lines), FileOptions(**options))  # type: ignore[arg-type]


def only(analysis: FileAnalysis) -> ArmComparison:
    (comparison,) = analysis.comparisons
    return comparison


def log_ratios(arm: Sequence[float], baseline: Sequence[float]) -> dict[int, float]:
    return {pair: math.log(a / b) for pair, (a, b) in enumerate(zip(arm, baseline, strict=True))}
