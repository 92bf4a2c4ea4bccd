"""A file that only one process can create: held while that process lives, and by nobody else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.machine.process_identity import ProcessIdentity
from harness.store.holder import hold

OTHER = """
import sys
from pathlib import Path
from harness.store.holder import hold
print(hold(Path(sys.argv[1])) is not None, flush=True)
sys.stdin.read()
"""


def other_process(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OTHER, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def write(path: Path, holder: ProcessIdentity) -> None:
    path.write_text(json.dumps(asdict(holder)))


def test_it_is_held_until_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "holder"
    release = hold(path)
    assert release
    assert hold(path) is None
    release()
    assert list(tmp_path.iterdir()) == []
    assert hold(path)


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "holder"
    with other_process(path) as other:
        assert other.stdout
        assert other.stdout.readline() == "True\n"
        assert hold(path) is None
        other.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
        release = hold(path)
        assert release
    release()
    assert list(tmp_path.iterdir()) == []


def test_another_process_with_the_same_id_is_not_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "holder"
    write(path, replace(ProcessIdentity.of_this_process(), started=1))
    assert hold(path)


@pytest.mark.parametrize("machine", ["another boot pid:[1]", ""])
def test_whether_a_process_of_another_machine_runs_is_not_guessed(tmp_path: Path, machine: str) -> None:
    path = tmp_path / "holder"
    write(path, ProcessIdentity(host="node7", machine=machine, pid=12, started=1))
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        hold(path)
    assert str(caught.value) == (
        f"{path}: process 12 on node7 holds this run, and its file system does not tell whether that process "
        "still runs; if it has ended, remove this file"
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "a"}'])
def test_a_file_that_is_not_complete_is_held(tmp_path: Path, text: str) -> None:
    path = tmp_path / "holder"
    path.write_text(text)
    with pytest.raises(StoreError, match="another process holds this run"):
        hold(path)


def test_only_one_of_many_takes_the_place_of_a_holder_that_ended(tmp_path: Path) -> None:
    path = tmp_path / "holder"
    begin = threading.Barrier(8)
    got: list[bool] = []

    def take() -> None:
        begin.wait()
        try:
            got.append(hold(path) is not None)
        except StoreError:
            got.append(False)

    for _ in range(20):
        write(path, replace(ProcessIdentity.of_this_process(), started=1))
        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == [False] * 7 + [True]
        got.clear()


def test_a_holder_does_not_remove_the_file_of_another(tmp_path: Path) -> None:
    path = tmp_path / "holder"
    release = hold(path)
    assert release
    other = replace(ProcessIdentity.of_this_process(), pid=1)
    write(path, other)  # somebody removed the first file, and another process made this one
    release()
    assert json.loads(path.read_text()) == asdict(other)
