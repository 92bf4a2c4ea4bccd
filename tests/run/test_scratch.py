"""Folders of drivers, where the locks of the file system are worth nothing."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from harness.machine.process_identity import ProcessIdentity
from harness.run.scratch import OWNER, PREFIX, sweep

ANOTHER_BOOT = "00000000-0000-0000-0000-000000000000 pid:[1]"
DRIVER = """
import sys
from pathlib import Path
from harness.run.scratch import Scratch

print(Scratch(Path(sys.argv[1])).folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    return tmp_path


@pytest.fixture
def driver(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", DRIVER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_a_living_driver_keeps_its_folder_when_the_clock_jumps(
    driver: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A jump changes the time at which every process seems to have begun."""
    assert driver.stdout is not None
    left = Path(driver.stdout.readline().strip())
    for days in (10, -10):
        monkeypatch.setattr(psutil.Process, "create_time", lambda _, days=days: 1e9 + 86_400 * days)
        sweep()
        assert left.is_dir()
    driver.kill()
    driver.wait()
    sweep()
    assert not left.exists()


@pytest.mark.parametrize(
    ("changes", "stays"),
    [
        ({}, True),
        ({"started": 1}, False),
        ({"machine": ANOTHER_BOOT}, False),
        ({"machine": ANOTHER_BOOT, "host": "node7"}, True),
        ({"machine": ""}, True),
        ({"machine": "", "pid": 2**22 + 1}, False),
    ],
    ids=[
        "this process",
        "a later one with its id",
        "earlier boot",
        "other machine",
        "no more is known",
        "none",
    ],
)
def test_only_folders_of_those_that_have_certainly_ended_are_removed(
    folder: Path, changes: dict[str, object], *, stays: bool
) -> None:
    left = folder / f"{PREFIX}left"
    left.mkdir()
    owner = asdict(replace(ProcessIdentity.of_this_process(), **changes))  # type: ignore[arg-type]
    (left / OWNER).write_text(json.dumps(owner))
    sweep()
    assert left.exists() is stays


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "a"}'])
def test_a_folder_without_a_known_owner_stays(folder: Path, text: str) -> None:
    left = folder / f"{PREFIX}left"
    left.mkdir()
    (left / OWNER).write_text(text)
    sweep()
    assert left.exists()
