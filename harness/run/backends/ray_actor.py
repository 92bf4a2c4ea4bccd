"""The driver's side of an actor on a node of a Ray cluster. Ray repeats nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, InputError
from harness.run.backends.base import Finished
from harness.run.backends.cluster import ActorLostError, Need
from harness.run.backends.node_facts import NodeFacts, Variables
from harness.run.backends.node_trials import NodeTrials
from harness.trial.causes import Cause
from harness.trial.outcome import Sample

_ANSWER_S = 5.0
_CLOSE_S = 20.0


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
        self._closing: Any = None

    def ready(self) -> NodeFacts:
        facts: NodeFacts = self._result(self._actor.facts.remote())
        self._is_ready = True
        return facts

    def run(self, job_text: str, folders: Sequence[str]) -> Finished:
        self._number += 1
        finished: Finished = self._result(self._actor.run.remote(self._number, job_text, list(folders)))
        return finished

    def _result(self, reference: Any) -> Any:
        """What the actor answers. Raises ActorLostError, or the error on a node that is alive."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise _translated(self._ray, error) from None

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
        if self._is_ready:
            self._actor.cancel.remote(self._number, grace_s)
        return self._is_ready

    def kill(self) -> None:
        """The kernel of the node ends the trial with the process of the actor."""
        self._ray.kill(self._actor, no_restart=True)

    def begin_to_close(self) -> None:
        self._closing = self._actor.close.remote()

    def close(self) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.get(self._closing, timeout=_CLOSE_S)
        self.kill()


def _translated(ray: Any, error: Any) -> ActorLostError | HarnessError:
    """What an error of Ray means: the actor or its node is lost, or it is alive and raised an error."""
    if isinstance(error, ray.exceptions.RayTaskError):
        cause = error.cause
        return cause if isinstance(cause, HarnessError) else HarnessError(f"on a node: {last_line(error)}")
    if isinstance(error, ray.exceptions.RayActorError) and error.actor_init_failed:
        return InputError(
            f"a node cannot run trials: {last_line(error)}",
            hint="install the same version of transformer-harness on every node",
        )
    out_of_memory = isinstance(error, ray.exceptions.OutOfMemoryError)
    return ActorLostError(Cause.HOST_MEMORY if out_of_memory else Cause.LOST_WORKER, last_line(error))


def last_line(error: Exception) -> str:
    """The last line of an error of Ray, which says the reason after a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
