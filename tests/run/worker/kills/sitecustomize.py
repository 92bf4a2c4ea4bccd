"""With this folder on PYTHONPATH, the processes of a fork server kill themselves where a test wants it.

A new process takes the first line of the file that the variable KILLS names: `KIND NUMBER`, so that it dies
at the step of this kind and number, counted from 0. Then it adds a line to the file `KILLS.deaths`, which
says whether its trial had finished. For a line `look`, it lives and adds a line with its id and the kind of
each step to the file `KILLS.steps`. For any other line, and without one, it lives.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

FILE, LINE, PART, AFTER, WEIGHTS, STATE = (
    "before-a-change-of-files",
    "before-a-line",
    "within-a-line",
    "after-a-line",
    "within-weights",
    "within-a-state",
)
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"}


class Steps:
    """The steps of this process."""

    def __init__(self, kills: Path) -> None:
        first, *rest = kills.read_text().splitlines() or [""]
        kills.write_text("".join(f"{line}\n" for line in rest))
        kind, _, number = first.partition(" ")
        self._kind, self._number = kind, int(number or 0)
        self._counts: Counter[str] = Counter()
        self._looks, self._kills = kind == "look", kills
        self._notes = self.finished = False

    def is_fatal(self, kind: str) -> bool:
        """Count a step. Whether the process has to die there."""
        if self._notes:
            return False
        if self._looks:
            self._note("steps", f"{os.getpid()} {kind}")
        number, self._counts[kind] = self._counts[kind], self._counts[kind] + 1
        return (kind, number) == (self._kind, self._number)

    def step(self, kind: str) -> None:
        if self.is_fatal(kind):
            self.die()

    def die(self) -> None:
        self._note("deaths", "finished" if self.finished else "unfinished")
        os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, name: str, line: str) -> None:
        self._notes = True
        file = os.open(f"{self._kills}.{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._notes = False
        os.write(file, f"{line}\n".encode())
        os.close(file)


def watch_files(steps: Steps) -> None:
    """Those of the driver. The cache of texts and the checks that trials share are made only once."""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        flags = arguments[2] if event == "open" else 0
        if event in CHANGES or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)):
            path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
            if "/driver-" in path or (event in CHANGES and not path.startswith("/")):
                steps.step(FILE)

    sys.addaudithook(look)


def watch_lines(steps: Steps) -> None:
    from harness.trial.outcome import EventWriter

    made: Any = EventWriter.__init__

    class Stream:
        """Of events. Each line is written at once."""

        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def write(self, text: str) -> None:
            steps.step(LINE)
            if steps.is_fatal(PART):
                self._stream.write(text[: len(text) // 2])
                self._stream.flush()
                steps.die()
            self._stream.write(text)
            self._stream.flush()
            steps.finished = '"event": "finished"' in text
            steps.step(AFTER)

        def flush(self) -> None:
            """There is nothing left to write."""

    def new_writer(writer: Any, stream: Any) -> None:
        made(writer, Stream(stream))

    EventWriter.__init__ = new_writer  # type: ignore[method-assign,assignment]


def watch_training(steps: Steps) -> None:
    import safetensors.torch

    from harness.training import checkpoint

    save, write = safetensors.torch.save_model, vars(checkpoint)["write_durably"]

    def save_model(model: Any, name: str) -> None:
        save(model, name)
        if steps.is_fatal(WEIGHTS):
            os.truncate(name, Path(name).stat().st_size // 2)
            steps.die()

    def write_durably(path: Path, *parts: bytes) -> None:
        if steps.is_fatal(STATE):
            content = b"".join(parts)
            path.write_bytes(content[: len(content) // 2])
            steps.die()
        write(path, *parts)

    vars(safetensors.torch)["save_model"] = save_model
    vars(checkpoint)["write_durably"] = write_durably


if "harness.run.worker" in sys.orig_argv and "KILLS" in os.environ:
    from harness.machine import matmul
    from harness.run import processes

    begin_group = processes.begin_group

    def first_of_a_trial(pid: int) -> None:
        begin_group(pid)
        if pid:
            import torch._dynamo  # noqa: F401  which every optimizer imports, once for all trials
        else:
            steps = Steps(Path(os.environ["KILLS"]))
            for watch in (watch_files, watch_lines, watch_training):
                watch(steps)

    processes.begin_group = first_of_a_trial
    matmul._fastest = lambda *_: 1e12  # measuring takes as long as the training
    matmul.largest_error = lambda *_: 0.0
