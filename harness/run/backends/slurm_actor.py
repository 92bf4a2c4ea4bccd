"""The driver's side of a worker in a Slurm job."""

from __future__ import annotations

import contextlib
import pickle
import threading
import time
from collections.abc import Sequence

from harness.errors import HarnessError, InputError
from harness.run.backends.base import Finished
from harness.run.backends.cluster import ActorLostError, Need
from harness.run.backends.fork_server import last_lines
from harness.run.backends.node_facts import SAME_EVERYWHERE, NodeFacts
from harness.run.backends.slurm_jobs import WorkerJobs
from harness.run.backends.slurm_mailbox import (
    CANCEL,
    ENDED,
    FACTS,
    JOB,
    LOOK_S,
    RESULT,
    SAMPLES,
    STOP,
    Mailbox,
    numbered,
)
from harness.run.backends.slurm_states import JobEnd
from harness.trial.causes import Cause
from harness.trial.event_tail import EventTail
from harness.trial.outcome import Sample

_LOOKS_AFTER_END = 25
"""The last file of a worker may appear some seconds after Slurm has reported the end of its job."""
_CLOSE_S = 30.0


class SlurmActor:
    """A worker that has been submitted as a job, and that waits in the queue first."""

    def __init__(self, need: Need, box: Mailbox, jobs: WorkerJobs) -> None:
        """Raises InputError if the job is refused."""
        self.need, self._box, self._jobs = need, box, jobs
        self._job = jobs.submit(need, box.folder)
        self._number = 0
        self._is_ready = False
        self._killed = threading.Event()
        self._tail: EventTail | None = None

    def ready(self) -> NodeFacts:
        names = self._wait_for(FACTS)
        end = self._jobs.end_of(self._job)
        if ENDED in names or end is not None:
            raise self._lost(names, end)
        try:
            facts = NodeFacts(**self._box.get(FACTS))
        except TypeError:
            raise InputError(
                "a node has another version of transformer-harness", hint=SAME_EVERYWHERE
            ) from None
        self._is_ready = True
        return facts

    def run(self, job_text: str, folders: Sequence[str]) -> Finished:
        number = self._number + 1
        self._tail = EventTail(self._box.folder / numbered(SAMPLES, number))
        self._box.put(numbered(JOB, number), {"job": job_text, "folders": list(folders)})
        self._number = number
        self._wait_for(numbered(RESULT, number))
        result: Finished | HarnessError = pickle.loads(self._box.get_bytes(numbered(RESULT, number)))
        if isinstance(result, HarnessError):
            raise result
        return result

    def _wait_for(self, name: str) -> set[str]:
        """Wait until the worker has written the file of that name, and return the names of all. Raises
        ActorLostError if it never will, or InputError if it says that its node cannot run trials.
        """
        looks = _LOOKS_AFTER_END
        while True:
            names = self._names()
            if name in names:
                return names
            end = self._jobs.end_of(self._job)
            if ENDED in names or self._killed.is_set() or (end is not None and not looks):
                raise self._lost(names, end)
            looks -= end is not None
            self._killed.wait(LOOK_S)

    def _names(self) -> set[str]:
        """The files that are there. None if the file system does not answer now."""
        try:
            return self._box.names()
        except FileNotFoundError:
            raise ActorLostError(Cause.LOST_WORKER, "the folder of its worker was removed") from None
        except OSError:
            return set()

    def _lost(self, names: set[str], end: JobEnd | None) -> ActorLostError | InputError:
        """Why the worker is gone, in its own words if there are any."""
        if ENDED in names:
            letter = self._box.get(ENDED)
            if letter["cause"] is None:
                return InputError(letter["error"], hint=letter["hint"])
            return ActorLostError(Cause(letter["cause"]), f"{self._title}: {letter['error']}")
        if end is None:
            return ActorLostError(Cause.KILLED, f"{self._title}: the driver ended it")
        reason = f"{self._title}: {end.text}"
        if not self._is_ready:
            reason += f": {self._last_words()}"
        return ActorLostError(end.cause, reason)

    @property
    def _title(self) -> str:
        return f"the job {self._job}"

    def _last_words(self) -> str:
        """What a worker that never began has printed last."""
        unseen = f"it printed nothing; maybe its node does not see the folder {self._box.folder}"
        return last_lines(self._jobs.log(self._job), 1) or unseen

    def new_samples(self) -> list[Sample]:
        return [] if self._tail is None else self._tail.new_samples()

    def last_samples(self) -> list[Sample]:
        return [] if self._tail is None else self._tail.last_samples()

    def cancel(self, grace_s: float) -> bool:
        if self._is_ready:
            self._put(numbered(CANCEL, self._number), grace_s)
        return self._is_ready

    def kill(self) -> None:
        self._killed.set()
        self._put(STOP, None)
        self._jobs.cancel(self._job)

    def begin_to_close(self) -> None:
        self._put(STOP, None)

    def close(self) -> None:
        deadline = time.monotonic() + _CLOSE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if ENDED in self._box.names():
                    return
            if self._jobs.end_of(self._job) is not None:
                return
            self._killed.wait(LOOK_S)
        self._jobs.cancel(self._job)

    def _put(self, name: str, content: float | None) -> None:
        with contextlib.suppress(OSError):  # the worker ends without it when it misses the driver
            self._box.put(name, content)
