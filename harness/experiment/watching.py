"""What a running study does at this moment, read from the store and from the events of its trial."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import psutil
from pydantic import ValidationError

from harness.experiment.inside_trial import CURVE, LastValue, reached
from harness.experiment.time_left import TimeLeft, TimeRange, current_trial, kind_of
from harness.machine.environment import usable_cores
from harness.run.open_session import is_open
from harness.run.scratch import folder_of_driver
from harness.store.rows import COUNTED_STATES, AttemptTime, Run, Session
from harness.store.store import Store
from harness.study.loaded import Study
from harness.study.names import Names
from harness.trial.event_tail import EventTail
from harness.trial.spec import TrialSpec

MOST_BETWEEN_S = 60.0
"""More seconds than this between two trials say nothing about the next ones: the driver has waited."""

WAITING_STATES = ("planned", "running", "interrupted")
"""The states of trials that are still to come, or to come again."""


@dataclass(frozen=True, kw_only=True)
class MachineLoad:
    """How busy the machine is: the use of its processors and of its memory in percent, and the load."""

    processor: float
    memory: float
    load: float
    cores: int


@dataclass(frozen=True, kw_only=True)
class TrialNow:
    """The trial that is running. `curve` is its loss so far, if it records one."""

    spec: TrialSpec
    seconds: float
    reached: LastValue | None = None
    curve: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StudyNow:
    """A running study. `rows` has the measurements of each arm: for each round and seed, in the order of the
    plan, the states of its trials. `before` counts the trials that belong to no round: by their purpose, how
    many have finished and how many are planned. `trial` runs, with `beside` others at the same time. `names`
    are those that the study gives to arms and conditions, or None if this version cannot read the study.
    """

    run: Run
    session: Session
    rows: dict[str, tuple[tuple[str, ...], ...]]
    before: dict[str, tuple[int, int]]
    finished: int
    failed: int
    planned: int
    trial: TrialNow | None
    beside: int
    left: TimeRange | None
    load: MachineLoad
    names: Names | None = None


def running_now(store: Store, study: str) -> tuple[Run, Session] | None:
    """The newest run of a study, or of one of its parts, on which a driver works, and its session."""
    for run in reversed(store.runs()):
        if run.study.partition("/")[0] == study:
            for session in reversed(store.sessions(run)):
                if is_open(session):
                    return run, session
    return None


class RunWatch:
    """Looks at one run again and again. It writes nothing, and it reads a plan only when it has grown."""

    def __init__(self, store: Store, run: Run, session: Session) -> None:
        self._store, self._run, self._session = store, run, session
        self._names = _names(run)
        self._specs: dict[str, TrialSpec] = {}
        self._current: AttemptTime | None = None
        self._tail, self._curve = EventTail(Path(os.devnull)), list[float]()
        psutil.cpu_percent()  # the next call says how busy the processors were since this one

    def look(self) -> StudyNow:
        """What the run does now."""
        attempts = self._store.attempt_times(self._run)
        if not self._specs or any(attempt.spec_id not in self._specs for attempt in attempts):
            planned = self._store.planned(self._run)
            self._specs = {one.spec_id: TrialSpec.model_validate_json(one.spec_json) for one in planned}
        newest = {attempt.spec_id: attempt.state for attempt in attempts}
        states = {spec_id: newest.get(spec_id, "planned") for spec_id in self._specs}
        trial = self._trial(next((one for one in reversed(attempts) if one.state == "running"), None))
        running = sum(one.state == "running" for one in attempts)
        return StudyNow(
            run=self._run,
            session=self._session,
            rows=self._rows(states),
            before=self._before(states),
            finished=sum(state in COUNTED_STATES for state in states.values()),
            failed=sum(state in ("failed", "lost") for state in states.values()),
            planned=len(states),
            trial=trial,
            left=self._left(attempts, states, trial, running),
            beside=max(0, running - 1),
            load=_load(),
            names=self._names,
        )

    def _rows(self, states: dict[str, str]) -> dict[str, tuple[tuple[str, ...], ...]]:
        columns: dict[str, dict[tuple[int, int], list[str]]] = {}
        for spec_id, spec in self._specs.items():
            if spec.purpose == "measure":
                here = columns.setdefault(spec.arm, {}).setdefault((spec.round, spec.seed), [])
                here.append(states[spec_id])
        return {arm: tuple(tuple(here[key]) for key in sorted(here)) for arm, here in columns.items()}

    def _before(self, states: dict[str, str]) -> dict[str, tuple[int, int]]:
        counts: dict[str, tuple[int, int]] = {}
        for spec_id, spec in self._specs.items():
            if not spec.round:
                finished, planned = counts.get(spec.purpose, (0, 0))
                counts[spec.purpose] = (finished + (states[spec_id] in COUNTED_STATES), planned + 1)
        return counts

    def _trial(self, attempt: AttemptTime | None) -> TrialNow | None:
        if attempt is None or attempt.spec_id not in self._specs:
            return None
        spec = self._specs[attempt.spec_id]
        if attempt != self._current:
            folder = folder_of_driver(self._session.pid)
            self._tail = EventTail(folder / f"{spec.id}.jsonl" if folder else Path(os.devnull))
            self._current, self._curve = attempt, []
        self._curve += [sample.value for sample in self._tail.new_samples(CURVE)]
        return TrialNow(
            spec=spec,
            seconds=max(
                0.0, (datetime.now(UTC) - datetime.fromisoformat(attempt.started_at)).total_seconds()
            ),
            reached=reached(spec.config, self._tail.last_samples()),
            curve=tuple(self._curve),
        )

    def _left(
        self, attempts: list[AttemptTime], states: dict[str, str], trial: TrialNow | None, running: int
    ) -> TimeRange | None:
        left = TimeLeft()
        at_once: dict[str, int] = {}
        if running > 1:
            at_once = dict.fromkeys((spec.purpose for spec in self._specs.values()), running)
        left.expect("", self._specs.values(), at_once=at_once)
        for spec_id, state in states.items():
            if state not in WAITING_STATES:
                left.done("", self._specs[spec_id])
        for spec_id, seconds in durations(attempts):
            left.learn(kind_of("", self._specs[spec_id]), seconds)
        if trial is None or running > 1:
            return left.seconds_left()
        return left.seconds_left(current_trial(kind_of("", trial.spec), trial.seconds, trial.reached))


def _names(run: Run) -> Names | None:
    try:
        return Names(Study.model_validate_json(run.study_json))
    except ValidationError:
        return None


def durations(attempts: list[AttemptTime]) -> Iterator[tuple[str, float]]:
    """The seconds of each trial that finished, with those until the next one began."""
    for attempt, following in pairwise((*attempts, None)):
        if attempt is None or attempt.state not in COUNTED_STATES or attempt.seconds is None:
            continue
        seconds = attempt.seconds
        if following is not None and following.session_id == attempt.session_id:
            began, ended = map(datetime.fromisoformat, (attempt.started_at, following.started_at))
            until_next = (ended - began).total_seconds()
            if seconds <= until_next <= seconds + MOST_BETWEEN_S:
                seconds = until_next
        yield attempt.spec_id, seconds


def _load() -> MachineLoad:
    return MachineLoad(
        processor=psutil.cpu_percent(),
        memory=psutil.virtual_memory().percent,
        load=psutil.getloadavg()[0],
        cores=usable_cores(),
    )
