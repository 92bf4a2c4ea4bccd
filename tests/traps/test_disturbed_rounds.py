"""Who was fooled: those whose timings were disturbed from outside, and those who chose which rounds were."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.analysis.analyse import analyse
from harness.analysis.frames import RunFrames, run_frames
from harness.analysis.results import Analysis, Contrast
from harness.machine.environment import Environment, environment
from harness.run.driver import Driver
from harness.run.identity import Setting
from harness.run.job import Job
from harness.run.programme import StudyProgramme
from harness.store.store import open_store
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.planning.resolved import resolve
from harness.trial.outcome import Outcome
from tests.end_to_end.in_process import Notes, Scripted
from tests.support.tiny_study import put
from tests.traps.test_runs import TIMED, finished

CLAIM = """\
claims:
  same:
    source: tests
    says: The cache changes nothing.
    no_difference: true
    metric: decode_tokens_per_second
    level: {cache: dynamic}
"""
DISTURBED = float(psutil.cpu_count() or 1)
"""More cores than a trial leaves free."""


@pytest.fixture(scope="module")
def here() -> Environment:
    return environment()


def measured(
    folder: Path,
    here: Environment,
    others: Callable[[Job], float],
    text: str = TIMED,
    decide: Callable[[Job], Outcome] = finished,
    seen: Callable[[Job], dict[str, Any]] = lambda _: {},
) -> tuple[LoadedStudy, RunFrames, Analysis]:
    """The study with its rounds, and its analysis, after a run whose trials `others` disturbed."""
    study = load_study(put(folder, text + CLAIM))[0]
    backend = Scripted(decide, others=others, seen=seen, seconds=1.0)
    setting = Setting(results=study.path.parent, environment=here, code="c0de", corpora=())
    with open_store(folder / "harness.db") as store:
        Driver(StudyProgramme(study), setting, store=store, backend=backend, listener=Notes()).run()
        run = store.runs()[-1]
        frames, resolved = run_frames(store, run), resolve(study, store.results(run))
        return resolved, frames, analyse(resolved, frames)


def speed(analysis: Analysis) -> Contrast:
    return next(one for one in analysis.contrasts if one.metric == "decode_tokens_per_second")


def in_rounds(*rounds: int, arm: str = "") -> Callable[[Job], float]:
    """Other programs disturb the last arm of these rounds, or this arm."""
    last: dict[int, str] = {}

    def others(job: Job) -> float:
        spec = job.spec
        if spec.purpose != "measure" or spec.round not in rounds:
            return 0.0
        first = last.setdefault(spec.round, spec.arm)
        return DISTURBED if (spec.arm == arm if arm else spec.arm != first) else 0.0

    return others


def test_a_disturbed_round_does_not_count_and_another_one_replaces_it(
    tmp_path: Path, here: Environment
) -> None:
    resolved, frames, analysis = measured(tmp_path, here, in_rounds(3, 4))
    assert resolved.study.design.rounds == 12
    assert Counter(t.round for t in frames.trials if t.purpose == "measure") == dict.fromkeys(range(1, 13), 2)
    assert [number for number, _ in speed(analysis).pairs] == [1, 2, *range(5, 13)]
    assert (speed(analysis).n, speed(analysis).verdict) == (10, "equivalent")
    assert analysis.claims[0].verdict == "confirmed"
    assert [one.trials for one in analysis.summaries] == [10, 10]
    notes = [note for note in analysis.warnings if "disturbed from outside" in note]
    busy = f"other programs kept {DISTURBED:.1f} of {DISTURBED:.0f} cores busy"
    assert notes == [
        f"2 rounds of 12 were disturbed from outside, and do not count: round 3 ({busy}), round 4 ({busy})"
    ]
    assert sum("2 values of decode tokens per second" in note for note in analysis.warnings) == 2


CAUSES: dict[int, tuple[dict[str, Any], str]] = {
    2: ({"state": "stopped"}, "a signal or a debugger stopped the trial for 0 µs"),
    5: ({"suspended_seconds": 60.0}, "the machine was suspended for 60 s"),
    9: (
        {"t_seconds": 2.0, "cpu_percent": 1.0},
        "the driver was stopped or got no core for 2 s, and the trial used only 20 ms of CPU time meanwhile",
    ),
    14: ({"gpu_throttling": ("power brake",)}, "the power supply of the GPU asked for a lower clock"),
}
"""Round → how its trials look from outside, and what the report says."""


def test_every_cause_sets_a_round_aside_and_is_shown(tmp_path: Path, here: Environment) -> None:
    def seen(job: Job) -> dict[str, Any]:
        if (
            job.spec.purpose != "measure"
            or job.spec.arm != ("cache=none", "cache=dynamic")[job.spec.round % 2]
        ):
            return {}
        return CAUSES.get(job.spec.round, ({}, ""))[0]

    text = TIMED.replace("rounds: 10", "rounds: 20")
    resolved, _, analysis = measured(tmp_path, here, lambda _: 0.0, text, seen=seen)
    assert resolved.study.design.rounds == 24
    assert [number for number, _ in speed(analysis).pairs] == sorted({*range(1, 25)} - CAUSES.keys())
    rounds = ", ".join(f"round {number} ({cause})" for number, (_, cause) in CAUSES.items())
    assert f"4 rounds of 24 were disturbed from outside, and do not count: {rounds}" in analysis.warnings


def test_many_disturbed_rounds_are_counted_and_not_all_described(tmp_path: Path, here: Environment) -> None:
    _, _, analysis = measured(tmp_path, here, in_rounds(*range(1, 11)))
    (note,) = [note for note in analysis.warnings if "disturbed from outside" in note]
    assert note.count("round ") == 8
    assert note.endswith(", and 2 more")


def test_a_round_that_replaces_another_may_be_disturbed_too(tmp_path: Path, here: Environment) -> None:
    resolved, _, analysis = measured(tmp_path, here, in_rounds(3, 11))
    assert resolved.study.design.rounds == 12
    assert speed(analysis).n == 10


def test_more_than_a_fifth_of_the_rounds(tmp_path: Path, here: Environment) -> None:
    resolved, _, analysis = measured(tmp_path, here, in_rounds(2, 5, 6))
    assert resolved.study.design.rounds == 12, "the number of rounds has an end"
    assert speed(analysis).verdict == analysis.claims[0].verdict == "undecided"
    assert "3 of 12 rounds were disturbed from outside, and more than 20% cannot be left out" in (
        analysis.claims[0].sentence
    )
    assert speed(analysis).reason in analysis.claims[0].sentence
    assert speed(analysis).n == 12, "what decides nothing is shown whole"
    assert sum("which is too many to leave them out" in note for note in analysis.warnings) == 1
    assert not any("measured and set aside" in note for note in analysis.warnings)


def test_many_models_with_one_round_each(tmp_path: Path, here: Environment) -> None:
    """A round is disturbed for all models, so there is no other one to judge by."""
    text = TIMED.replace("rounds: 10", "seeds: 6")
    _, _, analysis = measured(tmp_path, here, in_rounds(1, arm="cache=dynamic"), text)
    assert (speed(analysis).n, speed(analysis).verdict) == (6, "undecided")
    assert "1 of 1 round was disturbed from outside" in speed(analysis).reason


def test_a_lost_measurement_of_a_disturbed_round_counts_against_nothing(
    tmp_path: Path, here: Environment
) -> None:
    """The other arm of the round was disturbed, so its pair is left out anyway."""

    def decide(job: Job) -> Outcome:
        if (job.spec.purpose, job.spec.round, job.spec.arm) == ("measure", 3, "cache=dynamic"):
            return Outcome(status="lost", error="the worker was killed by SIGKILL")
        return finished(job)

    resolved, _, analysis = measured(tmp_path, here, in_rounds(3, arm="cache=none"), decide=decide)
    assert resolved.study.design.rounds == 11
    assert [number for number, value in speed(analysis).pairs if not math.isnan(value)] == [
        number for number in range(1, 12) if number != 3
    ]
    assert len(speed(analysis).pairs) == 10
    assert not any("interrupted after a value" in note for note in analysis.warnings)


def test_disturbances_that_come_with_one_arm(tmp_path: Path, here: Environment) -> None:
    """Thirty rounds, so that less than a fifth of them are enough for the test."""
    text = TIMED.replace("rounds: 10", "rounds: 30")
    _, _, analysis = measured(tmp_path, here, in_rounds(1, 2, 4, 8, 16, 17, arm="cache=dynamic"), text)
    assert speed(analysis).verdict == analysis.claims[0].verdict == "undecided"
    assert (
        "6 of 6 disturbed trials are of cache=dynamic (p 0.031), so the rounds that are left out may flatter"
        in (analysis.claims[0].sentence)
    )


def test_a_study_may_keep_disturbed_rounds(tmp_path: Path, here: Environment) -> None:
    text = TIMED.replace("rounds: 10", "rounds: 10, disturbed_rounds: keep")
    resolved, frames, analysis = measured(tmp_path, here, in_rounds(2, 5, 6), text)
    assert sum(bool(trial.notes.get("disturbed")) for trial in frames.trials) == 3
    assert resolved.study.design.rounds == speed(analysis).n == 10
    assert speed(analysis).verdict == "equivalent"
    assert not any("disturbed from outside" in note for note in analysis.warnings)


def test_a_quiet_machine_and_what_arms_do_to_themselves_void_nothing(
    tmp_path: Path, here: Environment
) -> None:
    """One arm sleeps and waits for its disk, and somebody sets the wall clock meanwhile."""

    def seen(job: Job) -> dict[str, Any]:
        if job.spec.arm != "cache=dynamic":
            return {}
        return {"state": "disk-sleep", "cpu_percent": 0.0, "clock_jump_seconds": 864_000.0}

    resolved, _, analysis = measured(tmp_path, here, lambda _: 0.0, seen=seen)
    assert resolved.study.design.rounds == speed(analysis).n == 10
