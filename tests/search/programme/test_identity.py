"""What makes another search, and what does not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from harness.machine.environment import Environment
from harness.run.identity import Setting
from harness.search.programme import search_identity
from tests.support.searched_study import POINTS, RATE, TPE, WARMUP, searched


@dataclass
class Somewhere:
    """A folder for the study, and the machine that it would run on."""

    folder: Path
    here: Environment

    def identity(self, *patches: tuple[str, str], **changes: Any) -> str:
        values = {"results": self.folder, "environment": self.here, "code": "c0de", "corpora": ("c",)}
        return search_identity(searched(self.folder, *patches), Setting(**{**values, **changes})).digest

    @cached_property
    def usual(self) -> str:
        """The identity of the study as it is."""
        return self.identity()


@pytest.fixture(scope="module")
def somewhere(tmp_path_factory: pytest.TempPathFactory, here: Environment) -> Somewhere:
    return Somewhere(tmp_path_factory.mktemp("place"), here)


@pytest.mark.parametrize(
    "patch",
    [
        (RATE, "optimizer.lr: {low: 1e-5, high: 1e-2, log: true}"),
        (RATE, "optimizer.lr: {low: 1e-5, high: 1e-1}"),
        (WARMUP, "schedule.warmup: {choices: [0, 1, 2, 3]}"),
        (WARMUP, "schedule.warmup: {low: 1, high: 3}"),
        (TPE, "kind: tpe, random: 3"),
        (TPE, "kind: random"),
        (POINTS, f"{POINTS}  seeds: 2\n"),
        (POINTS, f"{POINTS}  seed: 1\n"),
        (POINTS, f"{POINTS}  objective: bits_per_byte\n"),
        (POINTS, f"{POINTS}  pruner: {{kind: median}}\n"),
        (POINTS, f"{POINTS}  arm: {{clip: 0.5}}\n"),
        ("lr: 1e-3}", "lr: 2e-3}"),
        ("evaluate_every: 2", "evaluate_every: 1"),
        ("study: tiny", "study: other"),
    ],
)
def test_what_decides_on_the_points_or_their_values_makes_another_search(
    somewhere: Somewhere, patch: tuple[str, str]
) -> None:
    assert somewhere.identity(patch) != somewhere.usual


@pytest.mark.parametrize(
    "setting", [{"code": "other"}, {"corpora": ("other",)}, {"gpu": "GPU-1"}, {"plant": "cache-parity/x"}]
)
def test_other_code_text_or_machine_makes_another_search(
    somewhere: Somewhere, setting: dict[str, Any]
) -> None:
    assert somewhere.identity(**setting) != somewhere.usual


def test_another_version_of_optuna_makes_another_search(
    somewhere: Somewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = somewhere.usual
    monkeypatch.setattr("optuna.__version__", "5.9.9")
    assert somewhere.identity() != before


@pytest.mark.parametrize(
    "patch",
    [
        (POINTS, "  points: 50\n"),
        (POINTS, f"{POINTS}  timeout: 60\n"),
        (POINTS, f"{POINTS}  enqueue: [{{optimizer.lr: 1e-2, schedule.warmup: 0}}]\n"),
        (POINTS, f"{POINTS}  prove: {{at_most: 0.9}}\n"),
        (POINTS, f"{POINTS}  finalists: 2\n"),
        ("seeds: 7", "seeds: 9"),
        ("Which settings are best?", "Which are better?"),
        ("[1.0, 0.5]", "[1.0, 0.25]"),
        ("primary:", "margins: {loss: 0.02}\nprimary:"),
    ],
)
def test_what_ends_a_search_or_judges_it_does_not(somewhere: Somewhere, patch: tuple[str, str]) -> None:
    assert somewhere.identity(patch) == somewhere.usual
