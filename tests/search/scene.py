"""Searches of one study over one store and one set of Optuna's tables, driven session after session."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from harness.machine.environment import Environment, provenance
from harness.run.driver import Driver
from harness.run.identity import Setting
from harness.run.job import Job
from harness.search.findings import SearchFindings, search_findings
from harness.search.points import SearchedPoint
from harness.search.programme import SearchProgramme, search_identity
from harness.store.rows import Run, TrialRow
from harness.store.store import Store
from harness.study.searched import LoadedSearch
from harness.trial.outcome import Outcome
from tests.end_to_end.in_process import Broken, Notes, Scripted
from tests.support.searched_study import trained

_PROVENANCE = functools.cache(provenance)
Decide = Callable[[Job], Outcome]


class Asked(NamedTuple):
    """A point as a search asked it."""

    names: dict[str, str]
    state: str
    values: dict[str, tuple[float, ...]]


@dataclass
class Session:
    """What a session of a search asked of its backend and said."""

    run: Run
    backend: Scripted
    notes: Notes

    @property
    def jobs(self) -> list[Job]:
        return self.backend.jobs


@dataclass
class Scene:
    """`code` is the version of the code that measures: another one is another search. A session keeps its
    tables in memory, unless others are given.
    """

    folder: Path
    store: Store
    here: Environment
    search: LoadedSearch
    code: str = "c0de"
    tables: BaseStorage | None = None

    def __post_init__(self) -> None:
        self.tables = self.tables or InMemoryStorage()

    def session(
        self,
        points: int | None = None,
        decide: Decide = trained,
        *,
        timeout: float | None = None,
        seconds: float = 0.0,
        watched: bool = False,
    ) -> Session:
        """Search until there are so many points in all, or as many as the study says."""
        assert self.tables is not None
        backend, notes = Scripted(decide, seconds=seconds, watched=watched), Notes()
        programme = SearchProgramme(
            self.search,
            self.tables,
            points=points or self.search.search.points,
            timeout=timeout,
            note=notes.note,
        )
        driver = Driver(programme, self.setting, store=self.store, backend=backend, listener=notes)
        return Session(driver.run(), backend, notes)

    def with_code(self, name: str) -> Scene:
        """The same search with another version of the code, which is another run."""
        return dataclasses.replace(self, code=f"{self.code} {name}", tables=InMemoryStorage())

    @property
    def setting(self) -> Setting:
        return Setting(results=self.folder, environment=self.here, code=self.code, corpora=("c",))

    @property
    def run(self) -> Run:
        run = self.store.find_run(search_identity(self.search, self.setting))
        assert run is not None
        return run

    @property
    def rows(self) -> list[TrialRow]:
        return self.store.trials(self.run)

    @property
    def findings(self) -> SearchFindings:
        search = self.search
        return search_findings(self.store, self.run, (search.search, search.space, search.objectives))

    @property
    def points(self) -> tuple[SearchedPoint, ...]:
        return self.findings.points

    @property
    def asked(self) -> list[Asked]:
        """All points in their order, without what two equal searches may differ in."""
        return [Asked(dict(point.names), point.state, dict(point.values)) for point in self.points]

    def config(self, point: SearchedPoint) -> dict[str, Any]:
        """The config of the trials of a point."""
        row = next(row for row in self.rows if row.spec_id in point.spec_ids)
        config: dict[str, Any] = json.loads(row.spec_json)["config"]
        return config

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Optuna's trials in these states, or all of them."""
        assert self.tables is not None
        study = optuna.load_study(storage=self.tables, study_name=f"{self.run.study} {self.run.id}")
        return study.get_trials(states=states or None)


def make_sessions_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session does not ask git where it is and does not look for edits of the code. It looks at running
    trials without waiting.
    """
    monkeypatch.setattr("harness.run.source_watch.SourceWatch._package_stamps", lambda _: {})
    monkeypatch.setattr("harness.run.driver.provenance", _PROVENANCE)
    monkeypatch.setattr("harness.run.attempts.WATCH_S", 0.0)


@contextlib.contextmanager
def broken_off(owner: type, name: str, number: int) -> Iterator[Counter[str]]:
    """Within this context, the call with this number breaks off before it does anything. Counts the calls."""
    original, calls = getattr(owner, name), Counter[str]()

    def method(*arguments: Any, **options: Any) -> Any:
        calls[name] += 1
        if calls[name] == number:
            raise Broken
        return original(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, method)
        yield calls


def named(scene: Scene, name: str) -> list[str]:
    """The values of a parameter at all points, in their order."""
    return [point.names.get(name, "") for point in scene.points]
