"""Children of every thread and of children, whether the kernel lists them or not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from harness.telemetry import descendants as module
from harness.telemetry.descendants import descendants

FAMILY = """\
import subprocess, sys, threading
grandchild = ["cat"]
child = f"import subprocess; p = subprocess.Popen({grandchild}); print(p.pid, flush=True); p.wait()"
children = [subprocess.Popen([sys.executable, "-S", "-c", child], stdout=subprocess.PIPE)]
thread = threading.Thread(target=lambda: children.append(subprocess.Popen(grandchild)))
thread.start(), thread.join()
print(*(process.pid for process in children), children[0].stdout.readline().decode(), flush=True)
input()
"""


@pytest.fixture(scope="module")
def family() -> Iterator[tuple[int, frozenset[int]]]:
    """The id of a process, and those of its two children and of its grandchild."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = frozenset(map(int, parent.stdout.readline().split()))
        yield parent.pid, pids
        for pid in pids:
            psutil.Process(pid).kill()
        parent.communicate("\n")


@pytest.fixture(params=[True, False], ids=["listed by the kernel", "searched for"])
def listed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param and not module._LISTS_CHILDREN:
        pytest.skip("this kernel does not list the children of a process")
    monkeypatch.setattr(module, "_LISTS_CHILDREN", request.param)


@pytest.mark.usefixtures("listed")
def test_children_of_threads_and_children_of_children(family: tuple[int, frozenset[int]]) -> None:
    parent, pids = family
    assert len(pids) == 3
    assert {process.pid for process in descendants(psutil.Process(parent))} == pids


@pytest.mark.usefixtures("listed")
def test_a_process_without_children_has_none(family: tuple[int, frozenset[int]]) -> None:
    childless = next(pid for pid in family[1] if not psutil.Process(pid).children())
    assert descendants(psutil.Process(childless)) == []


@pytest.mark.usefixtures("listed")
def test_a_process_that_has_ended_is_refused() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        gone = psutil.Process(process.pid)
        process.communicate(b"")
    with pytest.raises(psutil.NoSuchProcess):
        descendants(gone)
