"""Who was fooled: those who ran all of one arm and then all of the other on a machine that grew warm, and
those who set today's arm beside the baseline that another machine had left in the table."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from harness.analysis.analyse import analyse
from tests.analysis.planted import SPEED, Planted, claim, contrast, flat, study
from tests.traps.stored import judged, stored

LOADED = study(
    compare={"cache": ["none", "dynamic"]},
    across={"new_tokens": [256]},
    invariants=[],
    claims={"it": {"source": "x", "says": "Faster.", "level": {"cache": "dynamic"}, "direction": "better"}},
)


def test_rows_that_drift_run_in_a_fixed_order(tmp_path: Path) -> None:
    """Nothing differs but the place in each round, and the machine gets 10 % faster from one trial to the
    next.
    """
    frames = Planted(loaded=LOADED, ratio=flat(1.0), noise=0.01).frames()
    fixed = tuple(replace(trial, position=trial.id) for trial in frames.trials)
    samples = frames.samples.copy()
    second = samples["arm"] == "cache=dynamic"
    samples.loc[second & (samples["metric"] == SPEED), "value"] *= 1.1
    analysis = judged(tmp_path, LOADED, replace(frames, trials=fixed, samples=samples))
    assert claim(analysis, "it").verdict == "invalid"
    assert "cache=dynamic ran after cache=none in every round" in contrast(analysis).reason


def test_drift_in_a_random_order_fools_nobody(tmp_path: Path) -> None:
    drifting = Planted(loaded=LOADED, ratio=flat(1.0), noise=0.005, drift=0.1)
    analysis = judged(tmp_path, LOADED, drifting.frames())
    assert claim(analysis, "it").verdict == "refuted"


def test_a_baseline_of_another_machine(tmp_path: Path) -> None:
    """Two machines are two runs, whatever is in the store; trials that claim to be one run were not in one
    session.
    """
    frames = Planted(loaded=LOADED, ratio=flat(2.0)).frames()
    here = stored(tmp_path, LOADED, frames)
    there = stored(tmp_path, LOADED, frames, machine="elsewhere")
    sessions = {trial.session_id for trial in here.trials}, {trial.session_id for trial in there.trials}
    assert sessions[0] != sessions[1]
    others = tuple(trial for trial in here.trials if trial.arm != "cache=none")
    lone = replace(here, trials=others, samples=here.samples[here.samples["arm"] != "cache=none"])
    assert claim(analyse(LOADED, lone), "it").verdict == "invalid"
    mixed = here.samples.copy()
    mixed.loc[mixed["arm"] == "cache=none", "session"] = there.trials[0].session_id
    analysis = analyse(LOADED, replace(here, samples=mixed))
    assert claim(analysis, "it").verdict == "invalid"
    assert contrast(analysis).reason == "round 1 was not run in one session"


def test_swapped_arms_mirror_and_time_agrees_with_throughput(tmp_path: Path) -> None:
    frames = Planted(loaded=LOADED, ratio=flat(1.2), noise=0.01).frames()
    back = study(**LOADED.study.plain() | {"compare": {"cache": ["dynamic", "none"]}, "claims": {}})
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    one, other = judged(tmp_path / "one", LOADED, frames), judged(tmp_path / "other", back, frames)
    forth, mirror = contrast(one), contrast(other, arm="cache=none")
    assert (forth.verdict, mirror.verdict) == ("better", "worse")
    assert math.isclose(forth.low * mirror.high, 1.0)
    assert contrast(one, "first_token_seconds").verdict == "better"
