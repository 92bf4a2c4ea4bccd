"""The handle of a trial on a cluster."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from harness.run import stopping
from harness.run.backends.base import Finished
from harness.run.backends.cluster import Actor
from harness.trial.outcome import Sample

_AFTER_GRACE_S = 15.0
"""How long the node may take to kill a trial that did not end, and to say so."""
_AFTER_KILL_S = 10.0


class ClusterHandle:
    """A trial that is running or waiting for a node."""

    def __init__(self) -> None:
        self.future: Future[Finished]
        self._actor: Actor | None = None
        self._changing = threading.Lock()
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether the driver has asked the trial to end."""
        return self._cancelled

    def began(self, actor: Actor) -> None:
        with self._changing:
            self._actor = actor
        if self._cancelled:
            actor.kill()

    def ended(self) -> None:
        with self._changing:
            self._actor = None

    def new_samples(self) -> list[Sample]:
        actor = self._actor
        return [] if actor is None else actor.new_samples()

    def last_samples(self) -> list[Sample]:
        actor = self._actor
        return [] if actor is None else actor.last_samples()

    def cancel(self, grace_s: float) -> None:
        with self._changing:
            self._cancelled = True  # `began` ends an actor that is just being made
            actor = self._actor
        if self.future.cancel() or self.future.done():
            return
        if actor is not None:
            asked = actor.cancel(grace_s)
            if asked and stopping.wait(self.future, grace_s + _AFTER_GRACE_S, hurry=True):
                return
            actor.kill()
        stopping.wait(self.future, _AFTER_KILL_S, hurry=False)
