"""Who was fooled: those whose code was edited while the run went on, and those whose trials changed the next
one.
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

from harness.calibrate.error_rates import attainable_size, expected
from harness.errors import ChangedError
from harness.machine.environment import Environment, environment
from harness.run.driver import Driver
from harness.run.identity import Setting
from harness.run.job import Job
from harness.statistics.signed_rank import signed_rank_interval, signed_rank_p
from harness.store.store import Store, open_store
from harness.study.loaded import LoadedStudy
from harness.study.planning.sequence import Sequence
from harness.trial.outcome import Outcome
from tests.end_to_end.in_process import Notes, Scripted, obedient
from tests.support.tiny_study import loaded

TWO_ARMS = ("dynamic, static]", "dynamic]")


@pytest.fixture(scope="module")
def here() -> Environment:
    return environment()


def drive(store: Store, study: LoadedStudy, here: Environment, decide: Callable[[Job], Outcome]) -> Scripted:
    backend = Scripted(decide)
    setting = Setting(results=study.path.parent, environment=here, code="c0de", corpora=())
    Driver(study, setting, store=store, backend=backend, listener=Notes()).run()
    return backend


def test_code_that_is_edited_after_two_trials_of_a_round(tmp_path: Path, here: Environment) -> None:
    """Trap 15, with a recipe in place of the code: the later rounds would measure something else."""
    study = loaded(tmp_path, TWO_ARMS)
    recipe = study.path.parent / "recipes" / "small.yaml"
    measured = 0

    def decide(job: Job) -> Outcome:
        nonlocal measured
        measured += job.spec.purpose == "measure"
        if measured == 8:
            recipe.write_text(recipe.read_text() + "# edited\n")
        return obedient(job)

    with open_store(tmp_path / "harness.db") as store:
        with pytest.raises(ChangedError, match=r"small.yaml changed during the run"):
            drive(store, study, here, decide)
        rows = store.trials(store.runs()[-1], include_superseded=True)
    assert Counter((row.round, row.state) for row in rows if row.purpose == "measure") == {
        (1, "finished"): 6,
        (2, "superseded"): 6,
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
