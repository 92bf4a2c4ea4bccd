"""What a task is: a config, the metrics it produces, what it needs first, and a `run` that reports raw
samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from harness.config import Config, digest
from harness.errors import InputError
from harness.invariants.subjects import Subject

if TYPE_CHECKING:
    from harness.data.reference import CorpusRef
    from harness.scoring.sentences import Sentences


class Report(Protocol):
    """Where raw values go: one call a sample; `step` counts the repeated units of a trial from 0."""

    def __call__(self, metric: str, value: float, step: int = 0, /) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a trial may know of its surroundings: its seed, its device ("cpu", "cuda:0"), and where trained
    models lie.

    `checkpoints` maps the digest of a training's config to the folder that it writes, or that others read.
    """

    seed: int
    device: str
    checkpoints: Mapping[str, str]

    def checkpoint(self, training: Task) -> Path:
        """The folder of a training's model. KeyError: nobody shares it."""
        return Path(self.checkpoints[digest(training.plain())])

    def shares(self, training: Task) -> bool:
        """Whether a training's model is kept for others."""
        return digest(training.plain()) in self.checkpoints


@dataclass(frozen=True, kw_only=True)
class Result:
    """Hashes of outputs (arms with equal hashes did the same), and the work that was spent, for parity
    between arms.

    `sentences` are what a task wrote that writes any.
    """

    outputs: dict[str, str] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    sentences: Sentences | None = None


class Task(Config, ABC):
    """The config of a task. Subclasses are frozen data; torch is imported inside `run`."""

    name: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    offers: ClassVar[type[Subject] | None] = None
    products: ClassVar[Literal["large", "small"]] = "large"
    """Whether its time goes into matrix products of many rows, as in training, or of few, as in decoding."""

    imports: ClassVar[tuple[str, ...]] = ()
    """Modules beyond torch that a trial loads, for a process that forks many trials to load once."""

    @abstractmethod
    def corpora(self) -> tuple[CorpusRef, ...]:
        """The corpora that must be in the cache before the trial starts."""

    def trainings(self) -> tuple[Task, ...]:
        """The trainings whose checkpoints the trial loads."""
        return ()

    text_settings: ClassVar[tuple[str, ...]] = ()
    """The settings that decide whether there is text enough; tasks with equal ones need not be asked twice.
    """

    def check_text(self) -> None:
        """Raises CorpusError where the corpora, which are in the cache by now, hold less than the trial
        takes.
        """

    def check_installed(self) -> None:
        """Raises InputError where the trial needs a package that is not installed."""

    @abstractmethod
    def flops(self) -> float:
        """Floating-point operations of a trial, roughly: what a plan's time is guessed from."""

    @abstractmethod
    def run(self, context: Context, report: Report) -> Result:
        """Do the work, report its raw samples, and say what came out and what was spent."""

    def subject(self, context: Context) -> Subject:  # noqa: ARG002  tasks that have one need it
        """What an invariant is checked on: the trial's own model and inputs, of the type that `offers` names."""
        raise InputError(f"task {self.name!r} has nothing that an invariant could be checked on")
