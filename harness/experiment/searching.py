"""A search with its results: it asks points until there are enough, proves the best one on fresh seeds, and
writes one report about both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.errors import StoreError, TrialError
from harness.experiment.devices import check_devices
from harness.experiment.experiment import Experiment, prepared, trial_machinery
from harness.experiment.measurable import check_objectives_measured
from harness.experiment.own_metrics import with_declared_metrics
from harness.experiment.programs import check_programs_allowed, store_programs
from harness.experiment.workspace import Workspace
from harness.machine.environment import Environment
from harness.run.driver import Driver
from harness.run.identity import Setting
from harness.run.listener import Listener
from harness.run.programme import NewSeedsProgramme, Programme
from harness.search.findings import SearchFindings, search_findings
from harness.store.rows import Run
from harness.store.store import Store, open_store
from harness.study.loaded import LoadedStudy
from harness.study.searched import LoadedSearch

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from harness.metrics import Metric
    from harness.report.inputs import ReportInput


class SearchExperiment:
    """A search of a study on one device, with its results in one workspace. `StudyExperiment.search` makes
    one.

    `options` are those of `harness search` that changed the study, as they were written.
    """

    def __init__(
        self,
        search: LoadedSearch,
        here: Environment,
        *,
        workspace: Workspace,
        gpu: str | None,
        plant: str | None,
        options: Sequence[str] = (),
    ) -> None:
        self.search, self.workspace, self.options = search, workspace, tuple(options)
        self._here, self._gpu, self._plant = here, gpu, plant
        self.allow_commands = False

    @property
    def records(self) -> dict[str, Metric]:
        """The records of the metrics that the study declares."""
        return self.search.loaded.study.records

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.search.loaded.name

    @with_declared_metrics
    def run(
        self, *, trials: int | None = None, timeout: float | None = None, listener: Listener | None = None
    ) -> Self:
        """Ask points until there are `trials` in all, or until all trials together took `timeout` seconds;
        then measure the best one and the arm with which the search began on fresh seeds.

        The call can be interrupted and repeated; it continues where it stopped. Raises TrialError if no point
        but the first has a value.
        """
        from harness.search.programme import SearchProgramme
        from harness.search.storage import opened_storage

        listener, declared = listener or Listener(), self.search.search
        points = trials or declared.points
        check_programs_allowed([self.search.loaded], allowed=self.allow_commands)
        check_objectives_measured((one.name for one in self.search.objectives), self._gpu)
        check_devices([self.search.loaded], self._gpu)
        setting = prepared(self.workspace, self._setting, listener, self.search.loaded)
        with (
            trial_machinery(self.workspace, self._gpu) as (store, backend),
            opened_storage(self.workspace.location) as tables,
        ):
            store_programs([self.search.loaded], self.workspace.results)
            self._say_what_changed(store, setting, listener)
            listener.parts((points * declared.seeds,))
            programme = SearchProgramme(
                self.search,
                tables,
                points=points,
                timeout=declared.timeout if timeout is None else timeout,
                note=listener.note,
            )
            Driver(programme, setting, store=store, backend=backend, listener=listener).run()
        self.proof.run(listener=listener)
        return self

    @with_declared_metrics
    def findings(self) -> SearchFindings:
        """The points of the search and what follows from them. Raises StoreError if it has not begun."""
        with self._opened() as (store, run):
            return self._findings(store, run)

    @property
    @with_declared_metrics
    def proof(self) -> Proof:
        """The comparison of the best point with the arm with which the search began.

        Raises TrialError if no point but the first has a value.
        """
        findings = self.findings()
        best = {name: self.search.space.read(point.names) for name, point in findings.best.items()}
        if not best:
            reasons = [point.reason for point in findings.points if point.reason]
            raise TrialError(
                "no point of the search has a value that could be proven",
                hint=f"the last one: {reasons[-1]}" if reasons else "ask more points with --trials",
            )
        proof = Proof(self, self.search.proof_of(best), self._here, self._gpu, self._plant)
        proof.allow_commands = self.allow_commands
        return proof

    def points(self) -> pd.DataFrame:
        """One row per point in the order in which they were asked: its number, its state, a column for each
        parameter and for each objective (the median over the seeds), its seconds, and the reason why it
        failed or was pruned.
        """
        return self.findings().frame()

    def verdicts(self) -> pd.DataFrame:
        """The verdicts of the proof, as those of a study."""
        return self.proof.verdicts()

    def report(self) -> Path:
        """Judge the proof, write the HTML report of the search, and return its path."""
        return self.proof.report()

    @contextmanager
    def optuna_study(self) -> Iterator[optuna.Study]:
        """Optuna's own object for this search, to read it with Optuna's own functions.

        Points that are added or told through it are not in the store, so they do not count.
        """
        import optuna

        from harness.search.storage import opened_storage

        with self._opened() as (_, run), opened_storage(self.workspace.location) as tables:
            yield optuna.load_study(storage=tables, study_name=f"{run.study} {run.id}")

    def run_in(self, store: Store) -> Run:
        """The run of this search. Raises StoreError if it has not begun."""
        from harness.search.programme import search_identity

        run = store.find_run(search_identity(self.search, self._setting()))
        if run is None:
            raise StoreError(f"there is no search of {self.name} in its present form", hint=self._again)
        return run

    @property
    def _again(self) -> str:
        loaded = self.search.loaded
        return f"harness search {loaded.path} --scale {loaded.scale}"

    @contextmanager
    def _opened(self) -> Iterator[tuple[Store, Run]]:
        self.workspace.check_exists(hint=f"start with `{self._again}`")
        with open_store(self.workspace.location) as store:
            yield store, self.run_in(store)

    def _findings(self, store: Store, run: Run) -> SearchFindings:
        return search_findings(store, run, (self.search.search, self.search.space, self.search.objectives))

    def _setting(self) -> Setting:
        return Experiment(
            (self.search.loaded,), self._here, workspace=self.workspace, gpu=self._gpu, plant=self._plant
        ).setting()

    def _say_what_changed(self, store: Store, setting: Setting, listener: Listener) -> None:
        from harness.search.programme import search_identity

        who, scale = search_identity(self.search, setting), self.search.loaded.scale
        runs = [run for run in store.runs(self.search.loaded.study.study) if run.scale == scale]
        if not runs or store.find_run(who) is not None:
            return
        last = runs[-1]
        changed = {
            "the space, the objective or the sampler": last.study_digest != who.study_digest,
            "the code": last.code_digest != who.code_digest,
            "the machine": last.environment_digest != who.environment_digest,
            "the planted bug": last.plant != who.plant,
        }
        what = " and ".join(name for name, differs in changed.items() if differs)
        listener.note(
            f"{what} changed since the last search ({last.created_at[:10]}), so a new search begins"
        )


class Proof(Experiment):
    """The study that compares what a search found with the arm with which the search began."""

    def __init__(
        self,
        search: SearchExperiment,
        study: LoadedStudy,
        here: Environment,
        gpu: str | None,
        plant: str | None,
    ) -> None:
        super().__init__((study,), here, workspace=search.workspace, gpu=gpu, plant=plant)
        self._search = search

    def programme(self, part: LoadedStudy) -> Programme:
        return NewSeedsProgramme(part)

    @with_declared_metrics
    def findings(self) -> tuple[ReportInput, ...]:
        """Everything that the report shows: the proof, and the search before it."""
        from harness.report.source import with_search

        (proof,) = super().findings()
        with self.opened() as (store, (run,)):
            return (with_search(store, proof, (self._search.run_in(store), run), self._search.options),)

    @property
    def report_title(self) -> str:
        part = self.parts[0].part.removesuffix("proof").removesuffix("_")
        return ".".join(filter(None, (self.name, part, "search")))
