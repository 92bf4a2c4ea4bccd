"""The process that NVML runs in ends with its parent, whatever either of them does at that moment."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.telemetry import nvml_process
from tests.support.fake_gpus import FakeGpus

DRIVER = """
import sys
from harness.telemetry.nvml import NvmlReader
reader = NvmlReader()
print("asking", flush=True)
reader.gpus()
print(reader._process._child.pid, flush=True)
sys.stdin.read()
"""


@contextmanager
def driver() -> Iterator[subprocess.Popen[str]]:
    """A program that asks NVML once and waits. It has printed that it is about to ask."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "asking\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def ends(pid: int) -> bool:
    """Whether the process has ended, or ends within 20 seconds."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], 20)[0])
    finally:
        os.close(watched)


def test_it_ends_with_a_driver_that_is_killed_while_nothing_is_asked(fake_gpus: FakeGpus) -> None:
    with driver() as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        assert ends(child)


@pytest.mark.parametrize("call", ["init", "memory"])
def test_it_ends_with_a_driver_that_is_killed_while_a_call_hangs(
    fake_gpus: FakeGpus, tmp_path: Path, call: str
) -> None:
    note = tmp_path / "note"
    os.mkfifo(note)
    fake_gpus(STUB_HANG=call, STUB_NOTE=str(note))
    with driver() as process:
        child = int(note.read_text())  # the library writes it before it hangs
        process.kill()
        assert ends(child)


def test_a_library_that_hangs_while_it_is_loaded_is_ended_by_an_alarm(fake_gpus: FakeGpus) -> None:
    """No thread of Python runs then, so that the process cannot see the end of its input."""
    fake_gpus(STUB_HANG="load")
    process = subprocess.Popen(
        [sys.executable, "-P", nvml_process.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"ask": "open", "limit_s": 0.1}).encode() + b"\n")
    process.stdin.flush()
    assert process.wait(timeout=20) == -signal.SIGALRM
    process.communicate()


def test_questions_have_one_line_each_whatever_the_library_prints(fake_gpus: FakeGpus) -> None:
    questions = [{"ask": "open", "limit_s": 20.0}, {"ask": "cuda", "limit_s": 20.0}]
    process = subprocess.Popen(
        [sys.executable, "-P", nvml_process.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for question in questions:
        process.stdin.write(json.dumps(question).encode() + b"\n")
        process.stdin.flush()
        assert "reason" in json.loads(process.stdout.readline())
    assert process.communicate()[0] == b""
    assert process.returncode == 0
