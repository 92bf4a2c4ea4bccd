"""Who was fooled: those whose code was edited while the run went on, those whose trials changed the next one,
and those who interrupted the rounds that began badly.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.analysis.analyse import analyse
from harness.analysis.frames import run_frames
from harness.calibrate.error_rates import attainable_size, expected
from harness.errors import ChangedError
from harness.machine.environment import Environment, environment
from harness.run.driver import Driver
from harness.run.identity import Setting
from harness.run.job import Job
from harness.run.programme import StudyProgramme
from harness.statistics import paired_estimate, rounds_with_losses
from harness.statistics.signed_rank import signed_rank_interval, signed_rank_p
from harness.store.store import Store, open_store
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.planning.resolved import resolve
from harness.study.planning.sequence import Sequence
from harness.trial.outcome import Outcome, Sample
from tests.end_to_end.in_process import Broken, Notes, Scripted, obedient
from tests.support.tiny_study import put

TIMED = """\
study: tiny
question: Is a cache faster?
task: generate
base:
  model: {recipe: small}
  prompts: {corpus: python-docs, split: test, count: 2, tokens: 8}
  new_tokens: 8
compare:
  cache: [none, dynamic]
design: {rounds: 10}
primary: decode_tokens_per_second
"""


@pytest.fixture(scope="module")
def here() -> Environment:
    return environment()


def timed(folder: Path) -> LoadedStudy:
    return load_study(put(folder, TIMED))[0]


def drive(store: Store, study: LoadedStudy, here: Environment, decide: Callable[[Job], Outcome]) -> Scripted:
    backend = Scripted(decide)
    setting = Setting(results=study.path.parent, environment=here, code="c0de", corpora=())
    Driver(StudyProgramme(study), setting, store=store, backend=backend, listener=Notes()).run()
    return backend


def test_code_that_is_edited_after_two_trials_of_a_round(tmp_path: Path, here: Environment) -> None:
    """Trap 15, with a recipe in place of the code: the later rounds would measure something else."""
    study = timed(tmp_path)
    recipe = study.path.parent / "recipes" / "small.yaml"
    measured = 0

    def decide(job: Job) -> Outcome:
        nonlocal measured
        measured += job.spec.purpose == "measure"
        if measured == 3:
            recipe.write_text(recipe.read_text() + "# edited\n")
        return obedient(job)

    with open_store(tmp_path / "harness.db") as store:
        with pytest.raises(ChangedError, match=r"small.yaml changed during the run"):
            drive(store, study, here, decide)
        rows = store.trials(store.runs()[-1], include_superseded=True)
    assert Counter((row.round, row.state) for row in rows if row.purpose == "measure") == {
        (1, "finished"): 2,
        (2, "superseded"): 2,
    }


STUDIES, ROUNDS, NOISE = 400, 10, 0.02


def differences(
    orders: list[list[tuple[int, ...]]], slowed: Callable[[int, int], float], *, lead_in: bool
) -> Iterator[NDArray[np.float64]]:
    """The log ratios of arm 1 against arm 0 in each study of equal arms, whose rounds have these orders.

    `slowed(turn, before)` is the logarithm of how much slower a trial is, by its number in the round and the
    arm before it. With `lead_in`, trial 0 of each round is not measured.
    """
    noise = np.random.default_rng(4)
    for rounds in orders:
        values = []
        before = rounds[0][0]
        for order in rounds:
            log_times = {}
            for turn, arm in enumerate(order, start=1 if lead_in else 0):
                log_times[arm] = slowed(turn, before) + noise.normal(0, NOISE)
                before = arm
            values.append(log_times[1] - log_times[0])
        yield np.array(values)


def false_alarms(studies: Iterable[NDArray[np.float64]]) -> int:
    return sum(signed_rank_p(study) <= 0.05 for study in studies)


def equivalents(studies: Iterable[NDArray[np.float64]]) -> int:
    intervals = (signed_rank_interval(study, level=0.90) for study in studies)
    return sum(-math.log(1.05) < one.low and one.high < math.log(1.05) for one in intervals)


def planned_orders(arms: int) -> list[list[tuple[int, ...]]]:
    sequences = (Sequence(arms=arms, conditions=1, seed=seed) for seed in range(STUDIES))
    return [[one.round(index)[0].arms for index in range(ROUNDS)] for one in sequences]


@pytest.mark.parametrize("arms", [2, 4, 5])
def test_a_trial_that_slows_the_next_one(arms: int) -> None:
    """Trap 29. The trial after arm 1 is 5 % slower; arms in random order fall for it."""
    most = expected(STUDIES, attainable_size(ROUNDS))[1]

    def carried_over(_turn: int, before: int) -> float:
        return 0.05 * (before == 1)

    assert false_alarms(differences(planned_orders(arms), carried_over, lead_in=True)) <= most
    if arms == 2:
        chance = random.Random(1)
        drawn = [[tuple(chance.sample(range(2), 2)) for _ in range(ROUNDS)] for _ in range(STUDIES)]
        assert false_alarms(differences(drawn, carried_over, lead_in=True)) > 2 * most


def test_a_round_whose_first_trial_is_slower() -> None:
    """Trap 30. Equal arms are found equal only if the first trial of a round is not measured."""

    def first_place(turn: int, _before: int) -> float:
        return 0.10 * (turn == 0)

    orders = planned_orders(2)
    assert equivalents(differences(orders, first_place, lead_in=False)) == 0
    found_equal = equivalents(differences(orders, first_place, lead_in=True))
    assert found_equal == equivalents(differences(orders, lambda *_: 0.0, lead_in=True))
    assert found_equal > 0.9 * STUDIES


def finished(job: Job) -> Outcome:
    """A trial whose every metric is measured, with equal speeds in both arms."""
    if job.spec.purpose != "measure":
        return obedient(job)
    noise = random.Random(job.spec.id).gauss(0, 0.01)
    samples = [Sample(name, 0, 100.0 * math.exp(noise)) for name in ("decode_tokens_per_second",)]
    return Outcome(status="finished", samples=tuple(samples), outputs={"tokens": "t"})


def test_workers_that_are_killed_and_a_run_that_is_interrupted(tmp_path: Path, here: Environment) -> None:
    """Trap 18. What was measured is kept, what is lost counts against every claim, and rounds are added."""
    study = timed(tmp_path)
    begun: Counter[int] = Counter()
    interrupted = False

    def decide(job: Job) -> Outcome:
        nonlocal interrupted
        if job.spec.purpose == "measure":
            begun[job.spec.round] += 1
            if job.spec.round in (2, 4) and begun[job.spec.round] == 2:
                return Outcome(status="lost", error="the worker was killed by SIGKILL")
            if job.spec.round == 6 and begun[6] == 2 and not interrupted:
                interrupted = True
                raise Broken
        return finished(job)

    with open_store(tmp_path / "harness.db") as store:
        with pytest.raises(Broken):
            drive(store, study, here, decide)
        drive(store, study, here, decide)
        run = store.runs()[-1]
        frames, results = run_frames(store, run), store.results(run)
        resolved = resolve(study, results)
        rows = [row for row in store.trials(run, include_superseded=True) if row.purpose == "measure"]
    assert resolved.study.design.rounds == 22
    assert begun == dict.fromkeys(range(1, 23), 2), "no round ran again"
    lost = Counter(number for _, _, number, _ in frames.lost)
    assert lost == {2: 1, 4: 1, 6: 1}
    assert not [row for row in rows if row.state == "superseded"]
    analysis = analyse(resolved, frames)
    assert any("3 rounds of 22 were interrupted" in note for note in analysis.warnings)
    [speed] = [one for one in analysis.contrasts if one.metric == "decode_tokens_per_second"]
    assert [number for number, value in speed.pairs if math.isnan(value)] == [2, 4, 6]
    assert (speed.n, speed.verdict) == (22, "equivalent")


def test_a_round_of_which_nothing_was_seen_is_run_again(tmp_path: Path, here: Environment) -> None:
    study = timed(tmp_path)
    broken = False

    def decide(job: Job) -> Outcome:
        nonlocal broken
        if (job.spec.purpose, job.spec.round) == ("measure", 3) and not broken:
            broken = True
            raise Broken
        return finished(job)

    with open_store(tmp_path / "harness.db") as store:
        with pytest.raises(Broken):
            drive(store, study, here, decide)
        drive(store, study, here, decide)
        run = store.runs()[-1]
        assert run_frames(store, run).lost == frozenset()
        assert resolve(study, store.results(run)).study.design.rounds == 10


def test_a_round_that_was_set_aside_and_would_run_again(tmp_path: Path, here: Environment) -> None:
    """An edit and its undoing must not draw the round again. (A trap of our own.)"""
    study = timed(tmp_path)
    recipe = study.path.parent / "recipes" / "small.yaml"
    text = recipe.read_text()

    def decide(job: Job) -> Outcome:
        if (job.spec.purpose, job.spec.round) == ("lead-in", 2):
            recipe.write_text(text + "# edited\n")
        return finished(job)

    with open_store(tmp_path / "harness.db") as store:
        with pytest.raises(ChangedError):
            drive(store, study, here, decide)
        recipe.write_text(text)
        backend = drive(store, study, here, finished)
        frames = run_frames(store, store.runs()[-1])
        resolved = resolve(study, store.results(store.runs()[-1]))
    assert {job.spec.round for job in backend.jobs if job.spec.purpose == "measure"} == set(range(3, 13))
    assert Counter(number for _, _, number, _ in frames.lost) == {2: 2}
    notes = [note for note in analyse(resolved, frames).warnings if "measured and set aside" in note]
    assert len(notes) == 2
    assert all("1 value of decode tokens per second" in note for note in notes)


def peeked(rounds: int, bad: float, chance: np.random.Generator, *, again: bool) -> NDArray[np.float64]:
    """The log ratios of an operator who interrupts each round whose first trial looks bad for the arm.

    With `again` the round is run again, as often as it takes; without, the pair is lost and rounds are added.
    """
    values: list[float] = []
    while len(values) < rounds_with_losses(rounds, int(np.isnan(values).sum())):
        first, second = chance.normal(0, NOISE, 2)
        sign = 1.0 if len(values) % 2 else -1.0  # the arm goes first in every other round
        if sign * first > bad:
            values.append(sign * (first - second))
        elif not again:
            values.append(math.nan)
    return np.array(values)


@pytest.mark.parametrize("bad", [-NOISE, -NOISE / 2, 0.0])
def test_an_operator_who_interrupts_what_begins_badly(bad: float) -> None:
    """Running a round again finds a difference between equal arms far too often; a lost pair does not."""
    most = expected(STUDIES, attainable_size(ROUNDS) / 2)[1]
    chance = np.random.default_rng(8)

    def better(*, again: bool) -> int:
        studies = (peeked(ROUNDS, bad, chance, again=again) for _ in range(STUDIES))
        estimates = (
            paired_estimate(dict(enumerate(study))) for study in studies if not np.isnan(study).all()
        )
        return sum(one.p <= 0.05 and one.estimate > 0 for one in estimates)

    assert better(again=False) <= most
    assert better(again=True) > most


def test_an_honest_interruption_costs_rounds_and_not_the_verdict() -> None:
    """One lost pair in twelve: a difference of three standard deviations is still found."""
    chance = np.random.default_rng(9)
    studies = [np.append(chance.normal(3 * NOISE, NOISE, 11), math.nan) for _ in range(50)]
    assert sum(paired_estimate(dict(enumerate(study))).p <= 0.05 for study in studies) >= 48
