"""The effect that a plan can detect, for metrics that are compared by differences: counts over seeds, and
scores over sentences.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.experiment import Workspace
from harness.experiment.detectable_effect import _relative, _scatter, detectable_effect
from harness.statistics import smallest_detectable
from harness.study.load import load_study
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import Planted
from tests.analysis.planted import study as timing_study
from tests.analysis.written import Written, of_arm
from tests.support.tiny_study import TUNED, put, writing_study
from tests.traps.stored import stored

COUNTING = TUNED[: TUNED.index("design:")] + "design: {seeds: 7}\nprimary: gradient_spikes\n"
WRITING = writing_study(prompts=300)


def planned(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> tuple[dict[str, Any], str]:
    """The detectable effect in the JSON of `harness plan`, and its notes for people."""
    monkeypatch.chdir(folder)
    data = CliRunner().invoke(app, ["plan", name, "--json"])
    notes = CliRunner().invoke(app, ["plan", name])
    assert (data.exit_code, notes.exit_code) == (0, 0), data.stderr
    effect: dict[str, Any] = json.loads(data.stdout)["detectable"]
    return effect, " ".join(notes.stdout.split())


def test_the_scatter_of_counts_over_seeds_comes_from_the_newest_run(tmp_path: Path) -> None:
    loaded = training_study(primary="zero_gradients")
    workspace = Workspace(store=str(tmp_path / "harness.db"))
    before = detectable_effect(loaded, workspace)
    assert (before.effect, before.scatter, before.source) == (None, None, "not known before a first run")

    def zeros(arm: str, seed: int) -> float:
        return 2.0 + 0.5 * seed**2 if arm == "optimizer=lion" else 0.5 * seed

    stored(tmp_path, loaded, Learned(loaded=loaded, zeros=zeros).frames())
    scatter = statistics.stdev(2.0 + 0.5 * seed**2 - 0.5 * seed for seed in range(8))
    after = detectable_effect(loaded, workspace)
    assert after.scatter == pytest.approx(scatter)
    assert after.effect == pytest.approx(smallest_detectable(8, scatter))
    assert after.source.startswith("as in run ")


def test_a_plan_of_counts_without_an_earlier_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, COUNTING)
    effect, notes = planned(tmp_path, monkeypatch, "tiny")
    assert (effect["effect"], effect["pairs"]) == (None, 7)
    assert (
        "smallest change of gradient_spikes that is detected with probability 0.8 (margin ± 0): "
        "not known before a first run" in notes
    )


def test_a_plan_of_scores_shows_the_widest_interval_of_an_earlier_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (loaded,) = load_study(put(tmp_path, WRITING, name="writing.yaml"), "cpu")
    effect, notes = planned(tmp_path, monkeypatch, "writing")
    assert (effect["half_width"], effect["effect"]) == (None, None)
    assert (
        "the smallest detectable difference depends on the number of sentences: not known before a first run"
        in notes
    )
    (tmp_path / "results").mkdir()
    planted = Written(loaded=loaded, right={"greedy": 0.6, "beam": 0.66})
    stored(tmp_path / "results", loaded, planted.frames())
    effect, notes = planned(tmp_path, monkeypatch, "writing")
    contrast = of_arm(planted.analysis(), "beam")
    assert effect["half_width"] == pytest.approx((contrast.high - contrast.low) / 2)
    assert effect["pairs"] == 300
    assert f"95 % intervals are at most ± {effect['half_width']:.2g} over 300 sentences (as in run" in notes


@pytest.mark.parametrize(
    ("seeds", "rounds", "pairs"),
    [
        (1, 1000, 1000),
        (1, 1070, 1070),
        (1, 1100, 1100),
        (1, 10_000, 10_000),
        (5, 10_000, 10_000),
        (20, 83, 20),
        (1000, 10_000, 1000),
    ],
)
def test_designs_up_to_the_limits_of_a_study_have_a_detectable_effect(
    seeds: int, rounds: int, pairs: int, tmp_path: Path
) -> None:
    loaded = timing_study(design={"seeds": seeds, "rounds": rounds}, claims={})
    before = time.process_time()
    effect = detectable_effect(loaded, Workspace(store=str(tmp_path / "harness.db")))
    assert time.process_time() - before < 5  # 0.3 s
    assert effect.pairs == pairs
    assert effect.effect == pytest.approx(math.expm1(2.8 * 0.05 / math.sqrt(0.955 * pairs)), rel=0.1)
    assert effect.procedure == (
        "exact signed rank" if pairs <= 1000 else "signed rank by a saddlepoint approximation"
    )


@pytest.mark.parametrize(
    ("values", "scatter"),
    [
        ([1e-300, 1e300, 1e-300, 1e300], 300 * math.log(10) * math.sqrt(4 / 3)),
        ([5e-324, 1.7e308], math.log(1.7e308) / math.sqrt(2) - math.log(5e-324) / math.sqrt(2)),
        ([2.0, 2.0, 2.0], 0.0),
        ([2.0], None),
        ([0.0, math.inf, math.nan, -1.0], None),
    ],
)
def test_scatter_is_a_number_whatever_was_measured(
    values: list[float], scatter: float | None, tmp_path: Path
) -> None:
    loaded = timing_study(
        design={"rounds": len(values)}, claims={}, across={}, compare={"cache": ["none", "dynamic"]}
    )
    frames = Planted(loaded=loaded, units=1).frames()
    rows = {row.id: row for row in frames.trials}
    changed = [
        (values[rows[trial].round - 1] if rows[trial].arm != loaded.baseline.name else 1.0)
        if name == loaded.study.primary
        else value
        for trial, name, value in frames.samples[["trial", "metric", "value"]].itertuples(index=False)
    ]
    frames = replace(frames, samples=frames.samples.assign(value=changed))
    measured = _scatter(frames, loaded)
    assert measured == (None if scatter is None else pytest.approx(scatter))


def test_an_effect_that_no_float_can_hold_is_infinite() -> None:
    assert _relative(1e4) == math.inf
    assert _relative(1e-9) == pytest.approx(1e-9)
