"""What a task is: a config, the metrics that it records, what it needs first, and a `run` that records raw
samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

from harness.config import Config, digest
from harness.errors import InputError
from harness.invariants.subjects import Subject
from harness.metrics import derived_metrics
from harness.tasks.work import Work
from harness.telemetry.clock import Span, WarmUp

if TYPE_CHECKING:
    from harness.data.reference import CorpusRef
    from harness.scoring.sentences import Sentences


class SampleRecorder(Protocol):
    """Takes one raw sample per call; `step` counts the repeated units of a trial from 0."""

    def __call__(self, metric: str, value: float, step: int = 0, /) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a trial knows of its surroundings: its seed, its device ("cpu", "cuda:0"), its number of threads,
    and where files are.

    `checkpoints` maps the digest of a training's config to the folder that the training writes, or that other
    trials read. A trial can make `folder` for whatever it writes; it is removed after the trial. `sources` is
    the folder of the files of programs, by their digests.
    """

    seed: int
    device: str
    checkpoints: Mapping[str, str]
    threads: int = 1
    folder: Path = Path()
    sources: Path = Path()

    def checkpoint(self, training: Task) -> Path:
        """The folder of a training's model. Raises KeyError if no trial shares the model."""
        return Path(self.checkpoints[digest(training.plain())])

    def shares(self, training: Task) -> bool:
        """Whether a training's model is stored for other trials."""
        return digest(training.plain()) in self.checkpoints


@dataclass(frozen=True, kw_only=True)
class TimedWork:
    """When the timed work of a trial ran, from the first unit to the last, and on how many tokens."""

    span: Span
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """Hashes of the outputs (arms with equal hashes computed the same), and the work that was spent, for
    parity between arms: amounts, and fingerprints of what it was measured on.

    `sentences` are the texts of a task that writes text. `timed` is the work whose energy per token is
    measured.
    """

    outputs: dict[str, str] = field(default_factory=dict)
    spent: Work = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    sentences: Sentences | None = None
    timed: TimedWork | None = None


class Task(Config, ABC):
    """The config of a task. Subclasses are frozen data; torch is imported inside `run`.

    A task is one file of this package, which has the name of the task.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    """The metrics of its trials: those that a trial records, and the energy that the driver measures."""

    offers: ClassVar[type[Subject] | None] = None
    """What its `subject` is: invariants that need more than this cannot be checked on its arms."""

    products: ClassVar[Literal["large", "small"]] = "large"
    """Whether most of its time goes into matrix products of many rows, as in training, or of few rows, as in
    decoding.
    """

    imports: ClassVar[tuple[str, ...]] = ()
    """Modules beyond torch that a trial loads. The process that forks the trials loads them once."""

    @property
    def modules(self) -> tuple[str, ...]:
        """The same for a trial with these settings, which may need more."""
        return self.imports

    needs_torch: ClassVar[bool] = True
    """Whether the process of a trial uses torch itself."""

    text_settings: ClassVar[tuple[str, ...]] = ()
    """The settings that decide whether there is enough text: of tasks with equal settings one is checked."""

    @classmethod
    def recorded(cls) -> tuple[str, ...]:
        """The metrics of its trials, with those that plug-ins compute from them."""
        return (*cls.metrics, *(record.name for record in derived_metrics(cls.metrics)))

    def lead_in(self) -> Self:
        """The trial that opens a round of timings. It does everything that a trial of this task does, but it
        times one unit only, after one unit of warm-up. A task without units is run as it is.
        """
        shorter = {"units": 1, "warm_up": WarmUp(at_least=1, at_most=1)}
        return self.model_copy(update={key: value for key, value in shorter.items() if hasattr(self, key)})

    @abstractmethod
    def corpora(self) -> tuple[CorpusRef, ...]:
        """The corpora that must be in the cache before the trial starts."""

    def trainings(self) -> tuple[Task, ...]:
        """The trainings whose checkpoints the trial loads."""
        return ()

    def checkpoints(self) -> frozenset[tuple[str, int]]:
        """What was trained for the trial: the digest of each training whose model it loads, and after how
        many updates it takes the model.
        """
        used = {digest(training.plain()) for training in self.trainings()}
        models = (getattr(self, name) for name in type(self).model_fields)
        taken = (
            (digest(model.train.plain()), model.updates)
            for model in models
            if hasattr(model, "train") and hasattr(model, "updates")
        )
        return frozenset(checkpoint for checkpoint in taken if checkpoint[0] in used)

    def check_text(self) -> None:
        """Raises CorpusError if the corpora, which are in the cache by now, hold less text than the trial
        needs.
        """

    def check_scores(self, metrics: Iterable[str]) -> None:
        """Raises InputError if one of the metrics cannot measure the text of the task. The corpora are in the
        cache.
        """

    @property
    def ranks(self) -> int:
        """The number of processes in which the trial runs, with one device for each. They are the ranks of a
        process group of torch, and the samples and the result of rank 0 count.
        """
        return 1

    def check_installed(self) -> None:
        """Raises InputError if the trial needs a package that is not installed."""

    @abstractmethod
    def flops(self) -> float:
        """An estimate of the trial's floating-point operations, from which a plan's time is estimated."""

    def effect(self) -> dict[str, Any]:
        """Plain data that is equal for two arms only if they do the same."""
        return self.plain()

    def time_limit(self) -> float | None:
        """The seconds after which a trial is ended, if the task itself says so."""
        return None

    @abstractmethod
    def expected_work(self) -> Work:
        """What a trial will spend and be measured on, as far as the config alone says it; nothing is read.

        The names are those of `Result.spent`. Arms whose trials will spend the same have equal entries. An
        amount may be an estimate, and a fingerprint is made of the settings that decide on the content.
        """

    def closed_form(self, metric: str) -> float | None:  # noqa: ARG002  most tasks have no formula
        """The value of a metric that is a formula of the config alone. None if it is not one."""
        return None

    def recorded_steps(self, metric: str) -> Sequence[int]:  # noqa: ARG002  most metrics have one value
        """The steps at which a trial records a metric, by the config alone. With more than one, a trial can
        be stopped on the way.
        """
        return (0,)

    def objective(self) -> tuple[float, ...]:
        """What the loss of a training contains besides the cross-entropy. Only equal ones can be compared."""
        return ()

    def seen_text(self) -> str | None:
        """Why the text that is evaluated is not held out, by the config alone; None if it is."""
        return None

    @abstractmethod
    def run(self, context: Context, record: SampleRecorder) -> Result:
        """Do the work, record its raw samples, and return the outputs' hashes and the work spent."""

    def subject(self, context: Context) -> Subject:  # noqa: ARG002  tasks that have one need it
        """The trial's own model and inputs, on which invariants are checked, of the type that `offers` names.

        Raises InputError if the task has none.
        """
        raise InputError(f"invariants cannot be checked on an arm of task {self.name!r}")
