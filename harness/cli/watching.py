"""`harness watch`: a running study in the terminal. It only reads, so the run does not notice it."""

from __future__ import annotations

import contextlib
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from harness.cli.console import CommandOutput
from harness.cli.progress import Lines
from harness.cli.runs import study_name
from harness.cli.streams import flush_output, has_terminal, terminal_console, writing_output
from harness.cli.watch_frame import arm_rows, frame, lines
from harness.experiment import Workspace
from harness.experiment.watching import RunWatch, StudyNow, running_now
from harness.run.open_session import is_open
from harness.run.stopping import Interrupted
from harness.store.rows import COUNTED_STATES
from harness.store.store import Store, open_store

LOOK_S = 2.0
"""How often the run is looked at. More often would disturb the trials that are timed."""

Wait = Callable[[float], bool]
"""Waits so many seconds, or until the user wants to leave. Returns whether that is so."""


def watch_study(study: str, workspace: Workspace, output: CommandOutput, *, once: bool) -> None:
    """Show what a running study does until it ends or the user leaves, or show it once.

    Raises InputError if the store has no run of the study.
    """
    workspace.check_exists(hint=f"start with `harness run {study}`")
    with open_store(workspace.location) as store:
        name = study_name(study, {run.study.partition("/")[0] for run in store.runs()})
        running = running_now(store, name)
        if running is None:
            _show_state(store, name, f"{name} is not running", output)
        elif once or output.json:
            _show_once(RunWatch(store, *running).look(), output)
        else:
            ended = _watch_to_the_end(store, name, output)
            _show_state(store, name, f"{name} {'has ended' if ended else 'goes on'}", output)


def _watch_to_the_end(store: Store, name: str, output: CommandOutput) -> bool:
    """Show all runs of the study that follow one another. Returns whether the last one has ended."""
    try:
        with _display(output) as show, _keyboard() as wait:
            while (running := running_now(store, name)) is not None:
                run, session = running
                watch = RunWatch(store, run, session)
                while any(one.id == session.id and is_open(one) for one in store.sessions(run)):
                    show(watch.look())
                    if wait(LOOK_S):
                        return False
                wait(LOOK_S)  # the next part of the study may begin
    except Interrupted as interrupted:
        if interrupted.number != signal.SIGINT:
            raise
        return False
    return True


@contextlib.contextmanager
def _display(output: CommandOutput) -> Iterator[Callable[[StudyNow], None]]:
    """Shows one picture after the other in a terminal, and lines with times in a pipe."""
    if not has_terminal(sys.stdout):
        yield _LinesOfRuns(output)
        return
    from rich.live import Live

    with (
        writing_output(),
        Live(console=terminal_console(sys.stdout), auto_refresh=False, transient=True) as live,
    ):
        yield lambda now: live.update(frame(now, leave="q leaves, and the run goes on"), refresh=True)


class _LinesOfRuns:
    """For each run, a line at its beginning and later lines about its progress, but not too many."""

    def __init__(self, output: CommandOutput) -> None:
        self._output, self._run = output, ""
        self._lines = Lines(self._write)

    def __call__(self, now: StudyNow) -> None:
        head, _, *details = lines(now)
        if now.run.id != self._run:
            self._run = now.run.id
            self._lines.begin(head, now.planned)
        self._lines.advance(
            now.finished,
            f"{now.finished:,} of {now.planned:,} trials",
            detail=", ".join(details[:2]),
            left=str(now.left) if now.left else "",
        )

    def _write(self, line: str) -> None:
        self._output.line(line)
        flush_output()


@contextlib.contextmanager
def _keyboard() -> Iterator[Wait]:
    """Waits for the key `q` without an enter, if standard input is a terminal."""
    if not has_terminal(sys.stdin):
        yield _sleep
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield _wait_for_q
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _wait_for_q(seconds: float) -> bool:
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(ready) and sys.stdin.read(1) in ("q", "Q")


def _show_once(now: StudyNow, output: CommandOutput) -> None:
    if output.json:
        output.data(_data(now))
    elif has_terminal(sys.stdout):
        with writing_output():
            terminal_console(sys.stdout).print(frame(now))
    else:
        for line in lines(now):
            output.line(line)
        rows = [dict(zip(("arm", "rounds", "finished"), row, strict=True)) for row in arm_rows(now)]
        output.table(rows, ["arm", "rounds", "finished"])


def _data(now: StudyNow) -> dict[str, Any]:
    trial = now.trial
    return {
        "running": True,
        "study": now.run.study,
        "scale": now.run.scale,
        "run": now.run.id,
        "process": now.session.pid,
        "host": now.session.host,
        "finished": now.finished,
        "failed": now.failed,
        "planned": now.planned,
        "seconds_left": None if now.left is None else {"low": now.left.low, "high": now.left.high},
        "beside": now.beside,
        "trial": None
        if trial is None
        else {
            "id": trial.spec.id,
            "title": trial.spec.title,
            "seconds": trial.seconds,
            "step": trial.reached and trial.reached.step,
            "metric": trial.reached and trial.reached.metric,
            "value": trial.reached and trial.reached.value,
        },
    }


def _show_state(store: Store, name: str, what: str, output: CommandOutput) -> None:
    """Say how far the newest run is."""
    newest = next(run for run in reversed(store.runs()) if run.study.partition("/")[0] == name)
    states = [trial.state for trial in store.planned(newest)]
    finished = sum(state in COUNTED_STATES for state in states)
    if output.json:
        output.data(
            {"running": False, "study": name, "run": newest.id, "finished": finished, "planned": len(states)}
        )
    else:
        output.line(f"{what}: {finished:,} of {len(states):,} trials of run {newest.id} have finished")
