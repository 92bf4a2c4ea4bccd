"""The progress of a run with several parts: one percentage, from 0 to 100."""

from __future__ import annotations

import pytest

from harness.cli.console import CommandOutput
from harness.cli.running import ProgressListener
from harness.run.backends.base import Finished
from harness.store.rows import Run
from harness.trial.outcome import Outcome
from harness.trial.spec import TrialSpec


def run(number: int) -> Run:
    return Run(
        id=f"r{number}",
        study="s",
        study_digest="d",
        scale="smoke",
        code_digest="c",
        environment_digest="e",
        ordinal=1,
        plant=None,
        created_at="",
        expected_trials=9,
        study_json="{}",
        study_source="",
        environment={},
    )


def spec(number: int) -> TrialSpec:
    return TrialSpec(purpose="measure", task="train", arm="a", condition={}, seed=number, round=1, config={})


def percentages(
    capsys: pytest.CaptureFixture[str], *lines: tuple[int, int, list[str]], sizes: tuple[int, ...]
) -> list[str]:
    """The percentages that are shown while the trials of some parts end. A part is (trials left, trials done,
    how its trials end).
    """
    output = CommandOutput()
    with output.progress() as progress:
        shown = ProgressListener(output, progress)
        shown.parts(sizes)
        for number, (todo, done, ends) in enumerate(lines):
            shown.begin(run(number), todo=todo, done=done)
            for index, status in enumerate(ends):
                shown.trial(spec(index))
                outcome = Outcome(status=status, error="it broke")  # type: ignore[arg-type]
                shown.finished(
                    spec(index), Finished(outcome=outcome, seconds=1.0, telemetry=(), nvml_reason=None)
                )
    return [line.split()[0] for line in capsys.readouterr().err.splitlines() if line.startswith("  ")]


def test_parts_are_counted_together(capsys: pytest.CaptureFixture[str]) -> None:
    shown = percentages(capsys, (2, 0, ["finished"] * 2), (8, 0, ["finished"] * 8), sizes=(2, 8))
    assert shown == ["10", "20", *(str(10 * tenth) for tenth in range(2, 11))]


def test_trials_of_earlier_runs_count_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert percentages(capsys, (0, 5, []), (1, 4, ["finished"]), sizes=(5, 5)) == ["90", "100"]


def test_repeated_rounds_and_early_ends_keep_the_percentage_within_the_part(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = percentages(
        capsys, (2, 0, ["finished"] * 6), (2, 2, ["failed", "finished", "finished"]), sizes=(4, 4)
    )
    assert [int(percent) for percent in shown] == sorted(map(int, shown))
    assert shown[-1] == "100"
