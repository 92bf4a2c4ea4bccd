"""What a driver runs: a study by its plan, or points that a search asks one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from harness.run.identity import Setting, identity
from harness.store.rows import Identity, Run
from harness.store.store import Store
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import Asker, Plan, TrialBatch, plan, schedule
from harness.study.planning.resolved import deciding_metrics, is_open, resolve
from harness.study.planning.results import Results
from harness.study.seeds import outcome_is_training
from harness.trial.outcome import Sample
from harness.trial.spec import TrialSpec

Watcher = Callable[[Sequence[Sample]], str | None]
"""Takes the samples that a running trial has recorded since the last call, and returns why it must stop, or
None.
"""

MissingTrials = Callable[[TrialBatch], tuple[TrialSpec, ...]]
"""Gives the trials of a batch that must run."""


class Draws(NamedTuple):
    """Which seeds a run draws from: those of its trials, and those of its shared trainings."""

    draw: int
    training_draw: int


class WorkLeft(NamedTuple):
    """How many trials must run, and how many have finished. `trials` are those that must run, as far as they
    are known. `at_once` says how many trials of a purpose run at the same time, if more than one does.
    """

    todo: int
    done: int
    trials: tuple[TrialSpec, ...] = ()
    at_once: Mapping[str, int] = MappingProxyType({})


class Programme(ABC):
    """The trials of one run, of which each batch may depend on the results of those before it."""

    loaded: LoadedStudy
    """The study that is recorded with the run."""

    has_several_drivers = False
    """Whether several drivers may work on one run: each of them must find the same trials by itself."""

    @abstractmethod
    def identity(self, setting: Setting) -> Identity:
        """What must be equal if a second invocation is to continue the same run."""

    @abstractmethod
    def draws(self, store: Store, *, fresh: bool) -> Draws:
        """The seeds of a new run."""

    @abstractmethod
    def drawn(self, draws: Draws) -> None:
        """From now on, use the seeds of a run."""

    @abstractmethod
    def begin(self, store: Store, run: Run) -> None:
        """The run exists and is locked for this driver. Nothing has been run in this session."""

    @property
    @abstractmethod
    def metrics(self) -> set[str]:
        """The metrics on which the next trials depend."""

    @abstractmethod
    def first_plan(self) -> Plan:
        """The plan before there are results."""

    @abstractmethod
    def work_left(self, missing: MissingTrials, results: Results) -> WorkLeft:
        """How much there is to do. `missing` gives the trials of a batch that must run."""

    @abstractmethod
    def schedule(self, results: Callable[[], Results]) -> Iterator[TrialBatch]:
        """All batches in order. `results` returns the results so far."""

    @abstractmethod
    def known(self, results: Results) -> tuple[TrialBatch, ...]:
        """The batches that the results so far decide."""

    @abstractmethod
    def problem(self, results: Results) -> str | None:
        """Why the programme has not come to its end, if trials failed on which others depend."""

    def watcher(self, spec: TrialSpec) -> Watcher | None:  # noqa: ARG002  most programmes stop no trial
        """Something that may stop this trial before its end, or None."""
        return None


class StudyProgramme(Programme):
    """A study: tuning, trainings, checks and rounds, as its plan says."""

    def __init__(self, loaded: LoadedStudy, ask: Asker | None = None) -> None:
        """`ask` chooses the next candidates of a study whose tuning is a search."""
        self.loaded, self._ask = loaded, ask
        self.has_several_drivers = ask is None

    def identity(self, setting: Setting) -> Identity:
        return identity(self.loaded, setting)

    def draws(self, store: Store, *, fresh: bool) -> Draws:
        """Only a fresh run of a study that has run before draws other seeds. Shared models are trained with
        other seeds only if the study asks what their training is worth.
        """
        draw = store.next_draw(self.loaded.study.study) if fresh else 1
        return Draws(draw, draw if outcome_is_training(self.loaded) else 1)

    def drawn(self, draws: Draws) -> None:
        self.loaded = self.loaded.drawn(*draws)

    def begin(self, store: Store, run: Run) -> None:
        pass

    @property
    def metrics(self) -> set[str]:
        return deciding_metrics(self.loaded.study)

    def first_plan(self) -> Plan:
        return plan(self.loaded)

    def work_left(self, missing: MissingTrials, results: Results) -> WorkLeft:
        planned = plan(self.loaded, results)
        left = [(batch, missing(batch)) for batch in planned.known]
        left += [(batch, batch.trials) for batch in planned.later]
        trials = tuple(
            spec
            for batch, specs in left
            if specs
            for spec in (*([batch.opening] if batch.opening else ()), *specs)
        )
        return WorkLeft(len(trials), len(planned.trials) - len(trials), trials)

    def schedule(self, results: Callable[[], Results]) -> Iterator[TrialBatch]:
        return schedule(self.loaded, results, self._ask)

    def known(self, results: Results) -> tuple[TrialBatch, ...]:
        return plan(self.loaded, results).known

    def problem(self, results: Results) -> str | None:
        if is_open(resolve(self.loaded, results)):
            return "some trials of the tuning did not finish; cannot continue"
        return None


class NewSeedsProgramme(StudyProgramme):
    """A study whose seeds are never those of the first draw, which its author may have seen, and never those
    of an earlier run: the proof of what a search found, or the judgement of two versions.
    """

    def __init__(self, loaded: LoadedStudy, ask: Asker | None = None) -> None:
        super().__init__(loaded, ask)
        self.has_several_drivers = False

    def draws(self, store: Store, *, fresh: bool) -> Draws:  # noqa: ARG002  every new run is fresh
        draw = max(2, store.next_draw(self.loaded.study.study))
        return Draws(draw, draw if outcome_is_training(self.loaded) else 1)
