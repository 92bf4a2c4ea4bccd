"""Progress in a pipe: lines with times, and not too many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from harness.cli.progress import QUIET_S, Lines


def written(*looks: tuple[float, float]) -> list[str]:
    """The lines of a job of 100 units at these moments, with so much done."""
    lines: list[str] = []
    now = 0.0
    shown = Lines(
        lines.append,
        seconds=lambda: now,
        clock=lambda: datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(seconds=now),
    )
    shown.begin("a job", 100)
    for moment, done in looks:
        now = moment
        shown.advance(done, "trial 1 of 2", detail="update 3", left="about 5 s left" if done else "")
    return lines


def test_a_line_comes_for_a_tenth_or_after_a_while() -> None:
    assert written((1, 0), (2, 5), (5, 12), (6, 13), (5 + QUIET_S, 14), (6 + QUIET_S, 14)) == [
        "12:00:00 a job",
        "12:00:01 0 %, trial 1 of 2, update 3",
        "12:00:05 12 %, trial 1 of 2, update 3, about 5 s left",
        "12:00:35 14 %, trial 1 of 2, update 3, about 5 s left",
    ]


def test_a_job_of_unknown_size_is_done_at_once() -> None:
    lines: list[str] = []
    shown = Lines(lines.append, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    shown.begin("nothing", 0)
    shown.advance(0)
    assert lines == ["00:00:00 nothing", "00:00:00 100 %"]
