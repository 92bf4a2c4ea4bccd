"""A search as a programme of the driver: each point is asked from Optuna, run, and told.

The store of the harness decides what has been run. Optuna's tables are a copy for its samplers and its
dashboard, and they are brought into agreement whenever a search begins.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.trial import Trial, TrialState, create_trial

from harness.config import digest
from harness.errors import InvalidError, StoreError, StudyError, TrialError
from harness.run.identity import Setting, environment_digest
from harness.run.programme import Draws, MissingTrials, Programme, Watcher, WorkLeft
from harness.search.distributions import distributions_at, params_of, suggested_point, values_of
from harness.search.methods import direction, pruner, sampler, version
from harness.search.points import SearchedPoint, searched_points
from harness.search.resumable import NUMBER, ResumableGrid
from harness.store.rows import Identity, Run
from harness.store.store import Store
from harness.study.planning.plan import Plan, TrialBatch
from harness.study.planning.results import Results
from harness.study.planning.trials import check_trials, training_trials
from harness.study.search import Hyperband, MedianPruner, WilcoxonPruner
from harness.study.searched import LoadedSearch
from harness.study.space import Point
from harness.trial.outcome import Sample
from harness.trial.spec import TrialSpec

PREFIX = "search1-"
"""Of the digests of what a search measures."""

TRIALS, SECONDS = "trials", "seconds"
"""Notes on Optuna's trials: the ids of ours, and how long they took."""

MOST_REFUSED = 100
"""A search ends if so many points in a row were impossible, or were asked before."""


def search_identity(search: LoadedSearch, setting: Setting) -> Identity:
    """What must be equal for a search to go on: everything that decides which points are asked and what their
    values are, with the version of Optuna.
    """
    measured = {**search.measured_content(), "optuna": version(), "corpora": list(setting.corpora)}
    return Identity(
        study_digest=PREFIX + digest(measured),
        scale=search.loaded.scale,
        code_digest=setting.code,
        environment_digest=environment_digest(setting.environment, setting.gpu),
        plant=setting.plant,
    )


class SearchProgramme(Programme):
    """The points of a search, up to a total number or a total time of all sessions together.

    `note` takes messages for a person.
    """

    def __init__(
        self,
        search: LoadedSearch,
        storage: BaseStorage,
        *,
        points: int,
        timeout: float | None,
        note: Callable[[str], None],
    ) -> None:
        self.loaded, self._search, self._storage = search.loaded, search, storage
        self._most, self._timeout, self._note = points, timeout, note
        self._read: tuple[SearchedPoint, ...] | None = None
        self._named: list[Point] = []
        self.study: optuna.Study | None = None

    # What a driver asks.

    def identity(self, setting: Setting) -> Identity:
        return search_identity(self._search, setting)

    def draws(self, store: Store, *, fresh: bool) -> Draws:  # noqa: ARG002  every search has the same seeds
        return Draws(1, 1)

    def drawn(self, draws: Draws) -> None:
        pass

    @property
    def metrics(self) -> set[str]:
        return {objective.name for objective in self._search.objectives}

    def first_plan(self) -> Plan:
        return Plan(known=())

    def known(self, results: Results) -> tuple[TrialBatch, ...]:  # noqa: ARG002  the next point is not known
        return ()

    def work_left(self, missing: MissingTrials, results: Results) -> WorkLeft:  # noqa: ARG002
        done = sum(point.state != "open" for point in self._points())
        return WorkLeft(max(0, self._most - done), done)

    def problem(self, results: Results) -> str | None:  # noqa: ARG002  problems are raised
        return None

    def begin(self, store: Store, run: Run) -> None:
        self._store, self._run, self._read = store, run, None
        self.study = optuna.create_study(
            storage=self._storage,
            study_name=f"{run.study} {run.id}",
            directions=list(map(direction, self._search.objectives)),
            pruner=pruner(self._search.search.pruner, self._steps[-1] + 1),
            load_if_exists=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.study.set_metric_names([objective.name for objective in self._search.objectives])
        self._agree()

    def schedule(self, results: Callable[[], Results]) -> Iterator[TrialBatch]:  # noqa: ARG002
        self._check_first_point()
        checks = tuple(spec for spec in check_trials(self.loaded) if spec.arm == self._search.arm.name)
        if checks:
            yield TrialBatch(purpose="check", trials=checks)
            self._check_invariants()
        if self._search.start is None:
            trials = self._search.trials_of(self._search.begin, {})
            yield from self._ran(TrialBatch(purpose="search", trials=trials))
            self._check_first_point()
        for asked in self._asked():
            yield from self._batches(*asked)
            self._tell(asked[0], self._point_of(asked[1]))
            self._check_first_point()

    def _check_first_point(self) -> None:
        """Raises TrialError if the arm with which the search begins has failed."""
        for first in self._points()[:1]:
            if first.state == "failed":
                raise TrialError(f"the arm with which the search begins cannot be run: {first.reason}")

    def _check_invariants(self) -> None:
        """Raises InvalidError if an invariant does not hold for the arm with which the search begins."""
        broken = [check for check in self._store.checks(self._run) if not check.passed]
        if broken:
            raise InvalidError(
                f"{broken[0].invariant} does not hold for the arm with which the search begins: "
                f"{broken[0].case}: {broken[0].detail}"
            )

    # What Optuna is asked.

    @property
    def _steps(self) -> Sequence[int]:
        return self._search.begin.recorded_steps(self._search.objectives[0].name)

    @property
    def _study(self) -> optuna.Study:
        assert self.study is not None
        return self.study

    def _points(self) -> tuple[SearchedPoint, ...]:
        """The points in the store, which are read again after each batch."""
        if self._read is None:
            search = self._search
            self._read = searched_points(self._store, self._run, search.objectives, search.search.seeds)
        return self._read

    def _ran(self, batch: TrialBatch) -> Iterator[TrialBatch]:
        yield batch
        self._read = None

    def _point_of(self, names: Mapping[str, str]) -> SearchedPoint | None:
        return next((point for point in self._points() if point.names == names), None)

    def _asked(self) -> Iterator[tuple[Trial, dict[str, str], tuple[TrialSpec, ...]]]:
        """One point after the other that has to be run, until there are enough."""
        refused = 0
        while refused < MOST_REFUSED and not self._is_over():
            trial = self._ask()
            if trial is None:
                return
            point = values_of(self._search.space, trial.params)
            names = self._search.space.names(point)
            try:
                task = self._search.task_of(point)
            except StudyError as error:
                refused += 1
                trial.set_user_attr("reason", error.message)
                self._study.tell(trial, state=TrialState.FAIL)
                continue
            known = self._point_of(names)
            if known is not None and known.state != "open":
                refused += 1
                trial.set_user_attr("repeats", known.number)
                self._tell(trial, known)
                continue
            refused = 0
            yield trial, names, self._search.trials_of(task, names)
        if refused:
            self._note(
                f"the last {refused} points were impossible or had been asked before, so the search ends"
            )

    def _is_over(self) -> bool:
        points = self._points()
        if sum(point.state != "open" for point in points) >= self._most:
            return True
        return self._timeout is not None and sum(point.seconds for point in points) >= self._timeout

    def _ask(self) -> Trial | None:
        """The next point: one that was begun, then known points, then one that the sampler chooses."""
        search, study = self._search, self._study
        begun = [one for one in study.get_trials(deepcopy=False) if one.state == TrialState.RUNNING]
        if begun:
            return Trial(study, begun[0]._trial_id)
        chosen = [values_of(search.space, one.params) for one in study.get_trials(deepcopy=False)]
        number = sum(map(search.space.is_complete, chosen))  # an ask that was killed changes nothing
        study.sampler = sampler(search.search.sampler, search.space, search.search.seed, number)
        if self._named:
            self._enqueue(self._named.pop(0))
        elif isinstance(study.sampler, ResumableGrid) and study.sampler.next_point(study) is None:
            self._note("every point of the grid has been asked")
            return None
        trial = study.ask()
        trial.set_user_attr(NUMBER, number)
        with _without_warnings():
            suggested_point(search.space, trial)
        return trial

    # What it is told.

    def _tell(self, trial: Trial, point: SearchedPoint | None) -> None:
        if point is None or point.state == "open":
            raise StoreError(f"point {trial.number} of the search has come to no end")
        self._report(trial, self._course(point))
        trial.set_user_attr(TRIALS, list(point.spec_ids))
        trial.set_user_attr(SECONDS, point.seconds)
        if point.reason:
            trial.set_user_attr("reason", point.reason)
        state, values = self._ending(point)
        self._study.tell(trial, values, state=state)

    def _course(self, point: SearchedPoint) -> dict[int, float]:
        """What the pruner compares points by: the values that a training recorded, or those of the seeds."""
        name = self._search.objectives[0].name
        match self._search.search.pruner:
            case None:
                return {}
            case WilcoxonPruner():
                return dict(enumerate(point.values[name]))
            case MedianPruner() | Hyperband():
                return dict(self._store.curve(self._run, point.spec_ids[0], name))

    def _report(self, trial: Trial, course: Mapping[int, float]) -> None:
        """Report the values that were not reported yet. Optuna warns of a second value."""
        if not course:
            return
        known = self._study.get_trials(deepcopy=False)[trial.number].intermediate_values
        for step, value in course.items():
            if step not in known:
                trial.report(value, step)

    def _ending(self, point: SearchedPoint) -> tuple[TrialState, list[float] | None]:
        if point.counts:
            return TrialState.COMPLETE, [point.median(objective) for objective in self._search.objectives]
        return (TrialState.PRUNED if point.state == "pruned" else TrialState.FAIL), None

    def _agree(self) -> None:
        """Bring Optuna's tables into agreement with the store.

        Raises StoreError if they have points that the store does not have.
        """
        space = self._search.space
        ours = {digest(dict(point.names)): point for point in self._points()}
        theirs: set[str] = set()
        for frozen in self._study.get_trials(deepcopy=False):
            point = values_of(space, frozen.params)
            key = digest(space.names(point))
            theirs.add(key)
            if frozen.state == TrialState.RUNNING and not space.is_complete(point):
                self._study.tell(frozen.number, state=TrialState.FAIL)  # killed before it was chosen
            elif frozen.state == TrialState.RUNNING and key in ours and ours[key].state != "open":
                self._tell(Trial(self._study, frozen._trial_id), ours[key])
            elif frozen.state in (TrialState.COMPLETE, TrialState.PRUNED) and key not in ours:
                raise StoreError(
                    f"Optuna's tables have point {frozen.number} of this search, and the store does not",
                    hint="move Optuna's tables away; they are made again from the store",
                )
        for key, known in ours.items():
            if known.names and key not in theirs and known.state != "open":
                self._add(known)
        start = self._search.start
        named = [*([start] if start is not None else []), *self._search.search.enqueue]
        points = {digest(space.names(point)): point for point in map(space.typed, named)}
        asked = theirs | {key for key, known in ours.items() if known.state != "open"}
        self._named = [point for key, point in points.items() if key not in asked]

    def _add(self, known: SearchedPoint) -> None:
        """Add a point that Optuna's tables have lost."""
        point = self._search.space.read(known.names)
        state, values = self._ending(known)
        self._study.add_trial(
            create_trial(
                state=state,
                values=values,
                params=params_of(self._search.space, point),
                distributions=distributions_at(self._search.space, point),
                user_attrs={
                    TRIALS: list(known.spec_ids),
                    SECONDS: known.seconds,
                    NUMBER: len(self._study.get_trials(deepcopy=False)),
                },
                intermediate_values=self._course(known),
            )
        )

    def _enqueue(self, point: Point) -> None:
        """Let this point be the next one. The arm with which the search begins comes first, then the points
        that a person has named. They wait here and not in Optuna's tables, where an interruption would change
        their order.
        """
        params = params_of(self._search.space, point)
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if params not in [one.system_attrs.get("fixed_params") for one in waiting]:
            self._study.enqueue_trial(params)

    # What is run.

    def _batches(
        self, trial: Trial, names: Mapping[str, str], specs: tuple[TrialSpec, ...]
    ) -> Iterator[TrialBatch]:
        task = self._search.task_of(self._search.space.read(names))
        for spec in specs:
            trainings = training_trials([(task, spec.seed, None)])
            if trainings:
                yield TrialBatch(purpose="train", trials=trainings)
            yield from self._ran(TrialBatch(purpose="search", trials=(spec,)))
            point = self._point_of(names)
            if point is None or point.state == "failed":
                return
            reason = self._pruned_after(trial, point)
            if reason and spec is not specs[-1]:
                rest = specs[specs.index(spec) + 1 :]
                yield from self._ran(TrialBatch(purpose="search", trials=rest, skipped=reason))
                return

    def _pruned_after(self, trial: Trial, point: SearchedPoint) -> str:
        """Why the seeds so far are enough to give a point up; empty if they are not."""
        search = self._search.search
        if search.pruner is None or search.seeds == 1:
            return ""
        course = self._course(point)
        self._report(trial, course)
        if not _should_stop(trial):
            return ""
        return f"given up after {len(course)} seeds by the {search.pruner.kind} pruner"

    def watcher(self, spec: TrialSpec) -> Watcher | None:
        search = self._search.search
        if spec.purpose != "search" or not isinstance(search.pruner, MedianPruner | Hyperband):
            return None
        objective, kind = self._search.objectives[0].name, search.pruner.kind
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if not running:  # the arm with which the search begins is not a point of the space
            return None
        trial = Trial(self._study, running[0]._trial_id)

        def watch(samples: Sequence[Sample]) -> str | None:
            for sample in samples:
                if sample.metric == objective:
                    self._report(trial, {sample.step: sample.value})
                    if _should_stop(trial):
                        return f"stopped at step {sample.step} by the {kind} pruner"
            return None

        return watch


def _should_stop(trial: Trial) -> bool:
    """Whether the pruner gives the trial up."""
    with _without_warnings():
        return trial.should_prune()


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Optuna warns of infinite values, but a training may diverge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
