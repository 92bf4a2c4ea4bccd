"""What a report says about a run that has not ended."""

from __future__ import annotations

import pytest

from harness.report.inputs import RunInfo


@pytest.mark.parametrize(
    ("finished", "failed", "running", "progress"),
    [
        (1, [], True, "running, 1 of 128"),
        (1, ["x"], True, "running, 1 of 128"),
        (1, [], False, "interrupted, 1 of 128"),
        (127, ["x"], False, ""),
        (128, [], False, ""),
    ],
)
def test_a_run_says_how_far_it_is(finished: int, failed: list[str], running: bool, progress: str) -> None:  # noqa: FBT001
    run = RunInfo(
        id="r",
        scale="cpu",
        study_digest="d",
        code_digest="c",
        created_at="",
        sessions=1,
        plant=None,
        expected_trials=128,
        finished_trials=finished,
        superseded_trials=0,
        failed=failed,
        running=running,
    )
    assert run.progress == progress
