"""The driver's side of an actor on a node of a Ray cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.run.backends.base import Finished
from harness.run.backends.ray_node import NodeFacts, NodeTrials, Variables
from harness.trial.outcome import Sample

_ANSWER_S = 5.0
_CLOSE_S = 20.0


class Need(NamedTuple):
    """The resources of an actor. They choose its node."""

    cpus: float
    gpus: int


class RayActor:
    """Runs one trial at a time on a node with these resources, as soon as there is one."""

    def __init__(self, ray: Any, need: Need, variables: Variables) -> None:
        self.need, self._ray = need, ray
        kind = ray.remote(NodeTrials).options(
            num_cpus=need.cpus,
            num_gpus=need.gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=4,  # while a trial runs, it is looked at, and may be cancelled
        )
        self._actor = kind.remote(dict(variables), str(Path.cwd()))
        self._number = 0
        self._is_ready = False

    def ready(self) -> NodeFacts:
        """Wait until the actor runs. Raises RayError."""
        facts: NodeFacts = self._ray.get(self._actor.facts.remote())
        self._is_ready = True
        return facts

    def run(self, job_text: str, folders: Sequence[str]) -> Finished:
        """Run a job to its end. Raises RayError."""
        self._number += 1
        finished: Finished = self._ray.get(self._actor.run.remote(self._number, job_text, list(folders)))
        return finished

    def new_samples(self) -> list[Sample]:
        return self._answer(self._actor.new_samples)

    def last_samples(self) -> list[Sample]:
        return self._answer(self._actor.last_samples)

    def _answer(self, method: Any) -> list[Sample]:
        """What the actor says at once. Nothing if it does not answer: the end of its trial says why."""
        if not self._is_ready:
            return []
        with contextlib.suppress(self._ray.exceptions.RayError):
            samples: list[Sample] = self._ray.get(method.remote(), timeout=_ANSWER_S)
            return samples
        return []

    def cancel(self, grace_s: float) -> bool:
        """Ask the newest job to end. Whether somebody is there to do it."""
        if self._is_ready:
            self._actor.cancel.remote(self._number, grace_s)
        return self._is_ready

    def kill(self) -> None:
        """End the process on the node at once. The kernel ends its trial with it."""
        self._ray.kill(self._actor, no_restart=True)

    def closing(self) -> Any:
        """Ask the actor to end all that it has started. The reference is for `end`."""
        return self._actor.close.remote()

    def end(self, closing: Any) -> None:
        """Wait until all has ended, and then end the actor."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.get(closing, timeout=_CLOSE_S)
        self.kill()


def last_line(error: Exception) -> str:
    """The last line of an error of Ray, which says the reason after a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
