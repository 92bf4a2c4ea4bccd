"""Every cause for which a trial can have no result, produced for real, by trials of one fork server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytest

from harness.run.backends.base import Finished
from harness.run.backends.local import LocalBackend
from harness.run.job import Job, TrialLimits
from harness.run.processes import has_ended
from harness.trial.causes import Cause
from tests.end_to_end.workplace import Workplace
from tests.run.worker.conftest import STEPS, wait_until

Make = Callable[..., LocalBackend]

LIMITS = TrialLimits(seconds=60.0, memory_bytes=2**40, output_bytes=2**20, idle_seconds=60.0)

BY_THEMSELVES = [
    # what the trial does, its cause, whether it is lost, and what its error says
    ("raise", Cause.ERROR, False, "RuntimeError: planted trouble"),
    ("segfault", Cause.SEGFAULT, False, "the worker was killed by SIGSEGV"),
    ("abort", Cause.CRASH, False, "the worker was killed by SIGABRT"),
    ("exit", Cause.NO_RESULT, False, "the worker ended with exit status 3"),
    ("exit well", Cause.NO_RESULT, False, "the worker ended with exit status 0"),
    ("no JSON", Cause.BROKEN_EVENT, False, "is not an event: 'not json'"),
    ("twice", Cause.ERROR, False, "ValueError: there are two values of 'planted' at step 3"),
    ("line end", Cause.ERROR, False, "ValueError: the name of a metric is not printable text"),
    ("no memory", Cause.MEMORY_ERROR, False, "MemoryError"),
    ("no memory in torch", Cause.MEMORY_ERROR, False, "can't allocate memory"),
    ("CUDA memory", Cause.CUDA_MEMORY, False, "CUDA out of memory. Tried to allocate 80.00 GiB"),
    ("kill", Cause.KILLED, True, "the worker was killed by SIGKILL"),
    ("full disk", Cause.FULL_DISK, True, "the disk was full, so the trial could not write its results"),
]


def test_each_cause_has_its_name_and_the_next_trial_is_untouched(job: Job, backend: Make) -> None:
    acts = [act for act, *_ in BY_THEMSELVES]
    here = backend({**STEPS, "act": [*acts, "quote", "pass"]})
    outcomes = [ended(here, job).outcome for _ in acts]
    for outcome, (_, cause, lost, error) in zip(outcomes, BY_THEMSELVES, strict=True):
        assert (outcome.cause, outcome.status) == (cause, "lost" if lost else "failed")
        assert error in str(outcome.error)
        if cause is not Cause.FULL_DISK:  # what it had recorded is in the file that the fault replaced
            assert {sample.metric for sample in outcome.samples} >= {"cache_bytes"}
    quoted, undisturbed = ended(here, job).outcome, ended(here, job).outcome
    assert {quoted.status, undisturbed.status} == {"finished"}
    assert {sample.metric for sample in quoted.samples} - {s.metric for s in undisturbed.samples} == {
        'a "quoted" name'
    }
    assert quoted.outputs == undisturbed.outputs


@pytest.mark.parametrize(
    ("act", "limits", "cause", "error"),
    [
        ("hang", {"seconds": 3.0}, Cause.TIME_LIMIT, "the trial took more than its time limit of 3 s"),
        ("hang", {"idle_seconds": 0.3}, Cause.HANG, "for 300 ms it wrote no result and used no processor"),
        ("flood", {}, Cause.OUTPUT_LIMIT, "the trial printed more than its limit of 1 MiB"),
        ("allocate", {"memory_bytes": 700 * 2**20}, Cause.MEMORY_LIMIT, "more than its limit of 700 MiB"),
        (
            "allocate",
            {"memory_bytes": 700 * 2**20, "memory_group": True},
            Cause.MEMORY_LIMIT,
            "more than its limit of 700 MiB",
        ),
    ],
    ids=["time", "idle", "output", "memory", "memory of a group"],
)
def test_a_trial_that_reaches_a_limit_is_ended_with_its_cause(
    job: Job, backend: Make, act: str, limits: dict[str, float], cause: Cause, error: str
) -> None:
    here = backend({**STEPS, "name": f"{cause} {len(limits)}", "act": act})
    outcome = ended(here, job, **limits).outcome
    assert (outcome.status, outcome.cause) == ("failed", cause)
    assert error in str(outcome.error)
    assert ended(here, job).outcome.status == "finished"


def test_a_trial_that_does_not_end_when_it_is_asked_to_is_killed(
    job: Job, backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.run.backends.local.GRACE_S", 0.2)
    here = backend({**STEPS, "name": "hang on", "act": "hang on"})
    outcome = ended(here, job, idle_seconds=0.3).outcome
    assert (outcome.status, outcome.cause) == ("failed", Cause.HANG)


def test_a_flood_is_not_kept(job: Job, backend: Make) -> None:
    """Neither the file nor more than its last lines."""
    here = backend({**STEPS, "name": "kept", "act": "flood"})
    outcome = ended(here, job).outcome
    assert 0 < len(str(outcome.traceback)) < 25_000
    assert sum(file.stat().st_size for file in here._scratch.folder.iterdir()) < 10_000


@pytest.mark.parametrize(
    ("ends", "cause"),
    [("by itself", None), ("by a signal", Cause.KILLED), ("with its server", Cause.LOST_WORKER)],
)
def test_what_a_trial_has_started_ends_with_it(
    workplace: Workplace, job: Job, backend: Make, ends: str, cause: Cause | None
) -> None:
    """Also what has left its group."""
    acts = ["descendants"] if ends == "by itself" else ["descendants", "hang"]
    here = backend({**STEPS, "name": ends, "act": "+".join(acts)})
    handle = here.submit(job)
    started = workplace.folder / f"met-{ends}.started"
    if cause is not None:
        wait_until(started.exists, handle)
        trial = psutil.Process(handle.pid)
        (trial if ends == "by a signal" else trial.parent()).kill()  # type: ignore[union-attr]
    outcome = handle.future.result(timeout=60).outcome
    assert outcome.cause == cause
    pids = [int(pid) for pid in started.read_text().split()]
    assert len(pids) == 2
    assert not [pid for pid in pids if psutil.pid_exists(pid) and not has_ended(psutil.Process(pid))]


def ended(here: LocalBackend, job: Job, **limits: Any) -> Finished:
    limited = job.model_copy(update={"limits": LIMITS.model_copy(update=limits)})
    return here.submit(limited).future.result(timeout=60)
