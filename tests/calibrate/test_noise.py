"""The noise of real rounds: residuals without the level of their arm."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.calibrate.noise import Residuals, shipped_residuals, stored_residuals
from harness.config import canonical_json
from harness.store.rows import Identity
from harness.store.store import Store, open_store
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec

MACHINE = "this one"
Speed = Callable[[str, int], float]


def recorded(
    store: Store, *, rounds: int, speed: Speed, machine: str = MACHINE, plant: str | None = None
) -> str:
    """A run of two arms whose speeds are known, each trial with two units that are 1 % apart."""
    specs = [
        TrialSpec(purpose="measure", task="generate", arm=arm, condition={}, seed=0, round=number, config={})
        for number in range(1, rounds + 1)
        for arm in ("a", "b")
    ]
    run = store.create_run(
        Identity(study_digest="s", scale="cpu", code_digest="c", environment_digest="e", plant=plant),
        study="s",
        study_json=canonical_json({"primary": "decode_tokens_per_second"}),
        study_source="",
        environment={"machine": machine},
        trials=specs,
    )
    session = store.open_session(run, {})
    for position, spec in enumerate(specs):
        attempt = store.begin_trial(run, session, spec, position=position)
        value = speed(spec.arm, spec.round)
        samples = tuple(
            Sample("decode_tokens_per_second", step, value * math.exp(0.01 * step)) for step in range(2)
        )
        store.finish_trial(attempt, Outcome(status="finished", samples=samples), seconds=1.0)
    store.close_session(session)
    return run.id


def test_residuals_have_no_level_but_keep_the_noise_of_the_round(tmp_path: Path) -> None:
    slow = {3: -0.25}
    level = {"a": 100.0, "b": 700.0}
    with open_store(tmp_path / "harness.db") as store:
        run = recorded(
            store, rounds=10, speed=lambda arm, number: level[arm] * math.exp(slow.get(number, 0.0))
        )
        residuals = stored_residuals(store, MACHINE)
    assert residuals is not None
    assert run in residuals.source
    assert len(residuals.rounds) == 10
    for number, trials in enumerate(residuals.rounds, start=1):
        expected = np.array([slow.get(number, 0.0) - 0.005, slow.get(number, 0.0) + 0.005])
        np.testing.assert_allclose(trials, [expected, expected], atol=2e-5)


def test_other_machines_short_runs_and_planted_bugs_are_left_out(tmp_path: Path) -> None:
    with open_store(tmp_path / "harness.db") as store:
        recorded(store, rounds=10, speed=lambda _arm, _number: 1.0, machine="another")
        recorded(store, rounds=9, speed=lambda _arm, _number: 1.0)
        recorded(store, rounds=10, speed=lambda _arm, _number: 1.0, plant="invariant/bug")
        assert stored_residuals(store, MACHINE) is None


def test_a_value_that_is_not_a_number_is_left_out_with_its_trial(tmp_path: Path) -> None:
    with open_store(tmp_path / "harness.db") as store:
        recorded(
            store,
            rounds=11,
            speed=lambda arm, number: math.nan if (arm, number) == ("a", 2) else float(number),
        )
        residuals = stored_residuals(store, MACHINE)
    assert residuals is not None
    assert len(residuals.rounds) == 10
    assert all(math.isfinite(unit) for trials in residuals.rounds for trial in trials for unit in trial)


def test_scatter_is_the_sd_of_log_ratios_within_rounds() -> None:
    random = np.random.default_rng(1)
    noise = random.normal(0.0, 0.03, (400, 2)) + random.normal(0.0, 0.5, (400, 1))
    rounds = tuple(tuple((float(unit),) for unit in trials) for trials in noise)
    assert Residuals(source="", rounds=rounds).scatter() == pytest.approx(0.03 * math.sqrt(2), rel=0.1)


def test_the_shipped_noise_comes_from_a_complete_run() -> None:
    shipped = shipped_residuals()
    assert [len(trials) for trials in shipped.rounds] == [12] * 10
    assert 0.01 < shipped.scatter() < 0.3
    units = [unit for trials in shipped.rounds for trial in trials for unit in trial]
    assert abs(float(np.median(units))) < 0.01
