"""Which cause an error in a trial has."""

from __future__ import annotations

import errno

import pytest
import torch

from harness.trial.causes import Cause, cause_of_error, failure_text


def raised(error: BaseException, *, again: bool) -> BaseException:
    """The error; with `again`, another one that was raised because of it."""
    if not again:
        return error
    try:
        try:
            raise error
        except BaseException as first:
            raise RuntimeError("the training failed") from first
    except RuntimeError as second:
        return second


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("no"), Cause.ERROR),
        (AssertionError(), Cause.ERROR),
        (MemoryError(), Cause.MEMORY_ERROR),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), Cause.MEMORY_ERROR),
        (torch.OutOfMemoryError("CUDA out of memory"), Cause.CUDA_MEMORY),
        (OSError(errno.ENOSPC, "No space left on device"), Cause.FULL_DISK),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Cause.FULL_DISK),
        (OSError(errno.EACCES, "Permission denied"), Cause.ERROR),
    ],
)
def test_the_cause_of_an_error_is_found_also_behind_another_one(
    error: BaseException, cause: Cause, *, again: bool
) -> None:
    assert cause_of_error(raised(error, again=again)) is cause


def test_errors_that_cause_each_other_come_to_an_end() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert cause_of_error(first) is Cause.ERROR


@pytest.mark.parametrize(
    ("cause", "error", "said"),
    [
        (Cause.ERROR, "ValueError: no", "ValueError: no"),
        (Cause.SEGFAULT, "killed by SIGSEGV", "segmentation fault: killed by SIGSEGV"),
        (Cause.CUDA_MEMORY, "CUDA out of memory. Tried", "CUDA out of memory. Tried"),
        (None, None, "no reason was recorded"),
        (Cause.HANG, None, "hang: no reason was recorded"),
    ],
)
def test_a_failure_names_its_cause_once(cause: str | None, error: str | None, said: str) -> None:
    assert failure_text(cause, error) == said


def test_only_what_lies_outside_of_a_trial_is_tried_again() -> None:
    assert {cause for cause in Cause if cause.transient} == {
        Cause.KILLED,
        Cause.HOST_MEMORY,
        Cause.FULL_DISK,
        Cause.LOST_WORKER,
    }
