"""A running study as a picture of text: arms and rounds, the curve of the trial, load and time left."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.cli.sparkline import sparkline
from harness.errors import message_line
from harness.experiment.watching import StudyNow, TrialNow
from harness.store.rows import COUNTED_STATES
from harness.wording import count, format_seconds, number_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.study.names import Names
    from harness.trial.spec import TrialSpec

MOST_ROUNDS = 60
"""Of more rounds, those around the current one are shown."""
WIDEST_CURVE = 60
LEGEND = "● finished  ◐ partly  ▶ running  ✗ failed  · planned"

_BEFORE = {"train": "trainings", "tune": "tuning", "search": "points", "check": "checks"}


def frame(now: StudyNow, leave: str = "") -> RenderableType:
    """The picture of a terminal. `leave` says how to leave it."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("arm", overflow="fold")
    table.add_column(_rounds_title(now), no_wrap=True)
    table.add_column("finished", justify="right")
    for arm, rounds, finished in arm_rows(now):
        table.add_row(Text(arm), rounds, finished)
    head, *others = lines(now)
    parts: list[RenderableType] = [Text(head, style="bold")]
    if now.rows:
        parts += [table, Text(LEGEND, style="dim")]
    parts += [Text(line) for line in others]
    if leave:
        parts.append(Text(leave, style="dim"))
    return Group(*parts)


def lines(now: StudyNow) -> Iterator[str]:
    """Everything but the table, line by line."""
    run, session = now.run, now.session
    since = session.started_at[:16].replace("T", " ")
    yield message_line(
        f"{run.study} ({run.scale}), run {run.id}: process {session.pid} on {session.host} since {since} UTC"
    )
    yield progress_line(now)
    if now.before:
        yield ", ".join(
            f"{_BEFORE.get(purpose, purpose)}: {finished:,} of {planned:,}"
            for purpose, (finished, planned) in now.before.items()
        )
    if now.trial is not None:
        yield from _trial_lines(now.trial, now.names)
    if now.beside:
        yield f"at the same time: {count(now.beside, 'other trial')}"
    load = now.load
    yield (
        f"machine: processors {load.processor:.0f} %, load {load.load:.2f} on {count(load.cores, 'core')}, "
        f"memory {load.memory:.0f} %"
    )


def progress_line(now: StudyNow) -> str:
    """`12 of 129 trials have finished, 1 failed, 12 to 15 min left`."""
    parts = [f"{now.finished:,} of {count(now.planned, 'trial')} finished"]
    if now.failed:
        parts.append(f"{now.failed:,} failed")
    if now.left is not None:
        parts.append(str(now.left))
    return ", ".join(parts)


def _trial_lines(trial: TrialNow, names: Names | None) -> Iterator[str]:
    yield f"now: {message_line(_title(trial.spec, names))}, for {format_seconds(trial.seconds)}"
    if trial.reached is not None:
        yield message_line(str(trial.reached))
    if len(trial.curve) > 1:
        first, last = number_text(trial.curve[0]), number_text(trial.curve[-1])
        yield f"loss {sparkline(trial.curve, WIDEST_CURVE)} {first} → {last}"


def _title(spec: TrialSpec, names: Names | None) -> str:
    if names is None:
        return spec.title
    return names.attempt((spec.task,), spec.arm, spec.condition, spec.seed, spec.round)


def arm_rows(now: StudyNow) -> Iterator[tuple[str, str, str]]:
    """For each arm: its name, one character for each round, and how many of its trials have finished."""
    begin, end = _window(now)
    for arm, rounds in now.rows.items():
        states = [state for trials in rounds for state in trials]
        finished = sum(state in COUNTED_STATES for state in states)
        shown = "".join(map(symbol, rounds[begin:end]))
        named = now.names.trial((), arm, {}) if now.names else arm
        yield message_line(named) or "all", shown, f"{finished:,} of {len(states):,}"


def symbol(states: Sequence[str]) -> str:
    """One character for the trials of an arm in a round."""
    if "running" in states:
        return "▶"
    if any(state in ("failed", "lost") for state in states):
        return "✗"
    finished = sum(state in COUNTED_STATES for state in states)
    if finished == len(states):
        return "●"
    return "◐" if finished else "·"


def _window(now: StudyNow) -> tuple[int, int]:
    """The first round that is shown, and the one after the last."""
    number = max(map(len, now.rows.values()), default=0)
    if number <= MOST_ROUNDS:
        return 0, number
    begun = max(
        (
            index
            for rounds in now.rows.values()
            for index, states in enumerate(rounds)
            if any(state != "planned" for state in states)
        ),
        default=0,
    )
    end = min(number, max(MOST_ROUNDS, math.ceil((begun + 1) / 10) * 10))
    return end - MOST_ROUNDS, end


def _rounds_title(now: StudyNow) -> str:
    begin, end = _window(now)
    return "rounds" if begin == 0 else f"rounds {begin + 1:,} to {end:,}"
