"""What the backends of clusters share. A cluster starts actors: an actor is a process on a node that has
resources for itself and runs trials, one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from harness.run.backends.base import Finished
from harness.run.backends.node_facts import NodeFacts
from harness.run.job import Job
from harness.trial.causes import Cause
from harness.trial.outcome import Sample


class Need(NamedTuple):
    """The resources of an actor, which choose its node. With `alone`, nothing else should run on the node."""

    cpus: float
    gpus: int
    alone: bool


class ActorLostError(Exception):
    """An actor is gone, and its trial with it. The text says why, and `cause` names the kind of reason."""

    def __init__(self, cause: Cause, text: str) -> None:
        super().__init__(text)
        self.cause = cause


class Actor(Protocol):
    """The driver's side of an actor. Several threads may call it."""

    @property
    def need(self) -> Need: ...

    def ready(self) -> NodeFacts:
        """Wait until the actor runs, as long as that takes. Raises ActorLostError if it never will, or does
        no more, and InputError if its node cannot run the trials of this driver.
        """

    def run(self, job_text: str, folders: Sequence[str]) -> Finished:
        """Run a job to its end. Raises ActorLostError, or the HarnessError that was raised on the node."""

    def new_samples(self) -> list[Sample]: ...

    def last_samples(self) -> list[Sample]: ...

    def cancel(self, grace_s: float) -> bool:
        """Ask the newest job to end. Returns whether the actor is there to do it."""

    def kill(self) -> None:
        """End the actor at once, and its trial with it. Whoever waits for it gets ActorLostError."""

    def begin_to_close(self) -> None:
        """Ask the actor to end all that it has started. `close` waits for it."""

    def close(self) -> None: ...


class Cluster(Protocol):
    """Where actors come from."""

    @property
    def here(self) -> NodeFacts:
        """What nodes must be like."""

    @property
    def slots(self) -> int:
        """How many actors with one CPU may exist at the same time."""

    def need_for(self, job: Job) -> Need:
        """What an actor needs for a job. Raises HarnessError if no node has that much."""

    def start(self, need: Need) -> Actor:
        """An actor that may wait for its node. Raises HarnessError if none can be started."""
