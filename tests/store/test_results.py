"""The results that a driver asks for after every batch are those that a fresh reader sees, and cost as much
as what is new.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from harness.metrics import metric
from harness.store.lost import lost_trials
from harness.store.rows import Run
from harness.store.store import Store, open_store
from harness.store.void import DISTURBED, void_rounds
from harness.study.planning.results import RunResults, StoredResult
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec

NewRun = Callable[..., Run]
NewSpec = Callable[[int], TrialSpec]
SPEED, LOSS, _ = METRICS = ("decode_tokens_per_second", "validation_loss", "peak_rss_bytes")
TRIALS = 12


def outcome(chance: random.Random) -> Outcome:
    samples = tuple(
        Sample(name, step, chance.random()) for name in chance.sample(METRICS, 2) for step in range(3)
    )
    notes: dict[str, Any] = {}
    if chance.random() < 0.2:
        notes[DISTURBED] = "another program"
    if chance.random() < 0.2:
        notes["diverged"] = True
    return Outcome(
        status=chance.choice(["finished", "finished", "lost", "failed"]), samples=samples, notes=notes
    )


def tuning(seed: int) -> TrialSpec:
    return TrialSpec(purpose="tune", task="train", arm="a", condition={}, seed=seed, round=0, config={})


def expected(store: Store, run: Run) -> RunResults:
    """The results from everything that the store has of the run."""
    rows = store.trials(run, include_superseded=True)
    values: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for attempt_id, name, _, value in store.samples(run):
        values[attempt_id][name].append(value)
    results = {
        row.spec_id: StoredResult(
            spec_id=row.spec_id,
            session=row.session_id,
            diverged=row.state == "diverged",
            values={
                name: math.inf
                if row.state == "diverged" and name == LOSS
                else metric(name).of_trial(values[row.id][name])
                for name in METRICS
                if values[row.id][name] or (row.state == "diverged" and name == LOSS)
            },
        )
        for row in rows
        if row.status == "finished"
    }
    tuning = [row.spec_json for row in store.planned(run) if row.purpose == "tune"]
    lost = {row.spec_id: row.round for row in lost_trials(rows)}
    return RunResults(results, lost=lost, void=void_rounds(rows), tuning=tuning)


@pytest.mark.parametrize("seed", range(2))
def test_growing_results_are_those_of_everything_that_the_store_has(
    location: str, new_run: NewRun, spec: NewSpec, seed: int
) -> None:
    chance = random.Random(seed)
    with open_store(location) as store, open_store(location) as other:
        runs = [new_run(store, study=study, seeds=range(TRIALS)) for study in ("one", "two")]
        sessions = [store.open_session(run, {}) for run in runs]

        def step(number: int) -> None:
            """What a driver may do next, in one of two runs that share the store."""
            run, session = chance.choice(list(zip(runs, sessions, strict=True)))
            ended = [row for row in store.trials(run) if row.state != "running"]
            if ended and chance.random() < 0.2:
                store.supersede(run, [chance.choice(ended).id])
            elif chance.random() < 0.2:
                store.extend_plan(run, [tuning(number)])
            else:
                counted = {row.seed for row in store.trials(run) if row.status in ("finished", "running")}
                free = [one for one in range(TRIALS) if one not in counted]
                if free:
                    chosen = chance.choice(free)
                    begun = store.begin_trial(run, session, spec(chosen), position=number)
                    if chance.random() < 0.9:
                        store.finish_trial(begun, outcome(chance), seconds=1.0)

        for number in range(40):
            step(number)
            run = runs[number % 2]
            grown, wanted = store.results(run, METRICS), expected(other, run)
            assert grown == wanted
            assert (grown.lost, grown.void, grown.tuning) == (wanted.lost, wanted.void, wanted.tuning)
        assert store.results(runs[0], [LOSS]).keys() == store.results(runs[0]).keys()
        store.close_session(sessions[0])  # what was still running becomes interrupted
        assert store.results(runs[0], METRICS).lost == expected(other, runs[0]).lost


@contextmanager
def instructions(store: Store) -> Iterator[list[int]]:
    """How many instructions SQLite executes in the meantime, to the nearest hundred."""
    counted = [0]

    def count() -> int:
        counted[0] += 100
        return 0

    def watch(connection: Any, *_: object) -> None:
        connection.set_progress_handler(count, 100)

    event.listen(store._engine, "checkout", watch)
    try:
        yield counted
    finally:
        event.remove(store._engine, "checkout", watch)


def test_results_cost_as_much_as_what_is_new_and_not_as_what_is_there(
    tmp_path: Any, new_run: NewRun, spec: NewSpec
) -> None:
    few, many, costs = 20, 200, {}
    with open_store(tmp_path / "harness.db") as store:
        run = new_run(store, seeds=range(many + 1))
        session = store.open_session(run, {})
        measured = Outcome(status="finished", samples=tuple(Sample(SPEED, step, 1.0) for step in range(20)))
        for seed in range(many + 1):
            begun = store.begin_trial(run, session, spec(seed), position=seed)
            store.finish_trial(begun, measured, seconds=1.0)
            if seed in (few - 1, many - 1):
                store.results(run, METRICS)
            if seed in (few, many):
                with instructions(store) as counted:
                    assert len(store.results(run, METRICS)) == seed + 1
                costs[seed] = counted[0]
    assert costs[few] > 0
    assert costs[many] < 2 * costs[few]
