"""Drivers over one store whose trials are scripted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.machine.environment import Environment
from harness.run.driver import Driver
from harness.run.identity import Setting
from harness.run.job import Job
from harness.run.programme import StudyProgramme
from harness.store.rows import Run, TrialRow
from harness.store.store import Store, open_store
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import Plan, plan
from harness.trial.outcome import Outcome
from tests.end_to_end.in_process import Notes, Scripted, obedient

Decide = Callable[[Job], Outcome]


class Scene:
    """A study, a store, and drivers over them that share everything but their backend."""

    def __init__(self, folder: Path, loaded: LoadedStudy, here: Environment) -> None:
        self.folder, self.loaded, self._here = folder, loaded, here
        self.store: Store = open_store(folder / "harness.db")

    @property
    def plan(self) -> Plan:
        return plan(self.loaded)

    def drive(self, decide: Decide = obedient, **changes: object) -> tuple[Run, Scripted, Notes]:
        backend, notes = Scripted(decide), Notes()
        setting = self.setting(**changes)
        run = Driver(
            StudyProgramme(self.loaded), setting, store=self.store, backend=backend, listener=notes
        ).run()
        return run, backend, notes

    def setting(self, **changes: object) -> Setting:
        values = {"results": self.folder, "environment": self._here, "code": "c0de", "corpora": ("c",)}
        return Setting(**{**values, **changes})  # type: ignore[arg-type]

    def driver(self) -> Driver:
        backend = Scripted(obedient)
        return Driver(
            StudyProgramme(self.loaded), self.setting(), store=self.store, backend=backend, listener=Notes()
        )

    def rows(self, *, superseded: bool = False) -> list[TrialRow]:
        return self.store.trials(self.store.runs()[-1], include_superseded=superseded)
