"""What Slurm says about jobs: `squeue` about those that it still holds, and `sacct` about others.

A job has ended if Slurm says so, and never because of a time that has passed. As long as `squeue` lists a
job, PREEMPTED is not an end: it may be requeued, and keeps its id. If `squeue` fails, nothing is known.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.trial.causes import Cause

STATES_S = 10.0
"""How often Slurm is asked, once for all jobs."""

_ANSWER_S = 60.0
_ABSENT = 30
"""After so many answers of `squeue` without a job, and no end in `sacct`, Slurm has forgotten the job."""


class JobEnd(NamedTuple):
    """How a job ended without a word of its worker."""

    cause: Cause
    text: str


_WAITS = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
_RUNS = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"})
_ENDS = {
    "BOOT_FAIL": JobEnd(Cause.LOST_WORKER, "its node did not start"),
    "CANCELLED": JobEnd(Cause.KILLED, "it was cancelled"),
    "COMPLETED": JobEnd(Cause.LOST_WORKER, "it ended without a word of its worker"),
    "DEADLINE": JobEnd(Cause.LOST_WORKER, "its deadline passed"),
    "FAILED": JobEnd(Cause.LOST_WORKER, "it failed"),
    "NODE_FAIL": JobEnd(Cause.LOST_WORKER, "its node failed"),
    "OUT_OF_MEMORY": JobEnd(Cause.HOST_MEMORY, "it needed more memory than it had"),
    "PREEMPTED": JobEnd(Cause.LOST_WORKER, "it was preempted"),
    "REVOKED": JobEnd(Cause.KILLED, "it was revoked"),
    "TIMEOUT": JobEnd(Cause.LOST_WORKER, "it reached its time limit"),
}
_REQUEUED = JobEnd(Cause.LOST_WORKER, "it was preempted and requeued")
_FORGOTTEN = JobEnd(Cause.LOST_WORKER, "Slurm does not know it any more")


def states_in_queue(text: str) -> dict[str, str]:
    """The state of each job in an answer of `squeue -h -o '%i %T'`."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: pair[1].upper() for pair in pairs if len(pair) == 2}


def ends_in_accounting(text: str) -> dict[str, JobEnd]:
    """The jobs that have ended by an answer of `sacct -n -P -o JobID,State,ExitCode`. Steps do not count."""
    ends = {}
    for line in text.splitlines():
        job, state, exit_code, *_ = [*line.split("|"), "", "", ""]
        end = _ENDS.get(state.split(" ")[0].rstrip("+").upper())  # "CANCELLED by 1000"
        if end is not None and "." not in job:
            code = f" with the exit code {exit_code}" if state == "FAILED" and exit_code else ""
            ends[job] = end._replace(text=end.text + code)
    return ends


class SlurmStates:
    """The ends of jobs. Several threads may ask."""

    def __init__(self, user: str, pause_s: float = STATES_S) -> None:
        self._user, self._pause_s = user, pause_s
        self._asking = threading.Lock()
        self._due = time.monotonic() + pause_s
        self._watched: set[str] = set()
        self._began: set[str] = set()
        self._ends: dict[str, JobEnd] = {}
        self._absent: Counter[str] = Counter()

    def watch(self, job: str) -> None:
        """Ask about this job from now on."""
        with self._asking:
            self._watched.add(job)

    def end_of(self, job: str) -> JobEnd | None:
        """How the job has ended; None if it has not, or if nothing is known."""
        with self._asking:
            if time.monotonic() >= self._due:
                self._ask()
                self._due = time.monotonic() + self._pause_s
            return self._ends.get(job)

    def _ask(self) -> None:
        left = self._watched - self._ends.keys()
        answer = _answer(["squeue", "-h", "-t", "all", "-u", self._user, "-o", "%i %T"]) if left else None
        if answer is None:
            return
        states = states_in_queue(answer)
        for job in left & states.keys():
            self._absent.pop(job, None)
            self._listed(job, states[job])
        self._look_up(sorted(left - states.keys()))

    def _listed(self, job: str, state: str) -> None:
        """What follows from the state of a job that the queue lists."""
        if state in _RUNS:
            self._began.add(job)
        elif state in _WAITS and job in self._began:
            self._ends[job] = _REQUEUED  # the job begins again later, but its worker is gone
        elif state in _ENDS and state != "PREEMPTED":
            self._ends[job] = _ENDS[state]

    def _look_up(self, jobs: Sequence[str]) -> None:
        """Ask the accounting about jobs that the queue does not list."""
        if not jobs:
            return
        answer = _answer(["sacct", "-n", "-P", "-X", "-o", "JobID,State,ExitCode", "-j", ",".join(jobs)])
        ends = {} if answer is None else ends_in_accounting(answer)
        self._absent.update(jobs)
        for job in jobs:
            if job in ends:
                self._ends[job] = ends[job]
            elif self._absent[job] >= _ABSENT:
                self._ends[job] = _FORGOTTEN


def cancel_jobs(arguments: Iterable[str]) -> None:
    """`scancel` with these arguments. If it fails, the jobs end when they miss the driver."""
    _answer(["scancel", *arguments])


def _answer(command: Sequence[str]) -> str | None:
    """What a command of Slurm prints. None if it fails, as when the controller is away."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
