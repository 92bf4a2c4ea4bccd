"""The load between two looks at /proc, which a test changes in the pause."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from harness.doctor.checks.load import WATCHED_S, check_load
from tests.doctor.conftest import FakeMachine

TICKS = os.sysconf("SC_CLK_TCK") * WATCHED_S
"""The ticks in which a core can be busy between the looks."""


def stat(*, busy: float = 0.0, stolen: float = 0.0, cores: int = 4) -> str:
    """/proc/stat after so many cores were busy, or taken away, all the time."""
    total = f"cpu {int(busy * TICKS)} 0 0 900 0 0 0 {int(stolen * TICKS)} 0 0\n"
    return total + "".join(f"cpu{core} 0 0 0 0 0 0 0 0 0 0\n" for core in range(cores)) + "intr 0\n"


def process(name: str, *, busy: float = 0.0) -> str:
    return f"7 ({name}) R 1 7 7 0 -1 4194304 0 0 0 0 {int(busy * TICKS)} 0 0 0 20 0 1 0 100 0 0\n"


@pytest.fixture
def between(fake: FakeMachine) -> Callable[..., dict[str, tuple[str, str]]]:
    """The states and texts of the findings, if files of /proc change from nothing to these in the pause."""

    def look(before: dict[str, str], after: dict[str, str], **changes: object) -> dict[str, tuple[str, str]]:
        def write(files: dict[str, str]) -> None:
            for path, text in files.items():
                fake.write(f"proc/{path}", text)

        write({"stat": stat(), **before})
        findings = fake.findings(check_load, pause=lambda _: write(after), **changes)
        return {subject: (finding.state, finding.seen) for subject, finding in findings.items()}

    return look


def test_the_busiest_programs_are_named(between: Callable[..., dict[str, tuple[str, str]]]) -> None:
    names = {10 + i: (f"p{i}", (i + 1) / 10) for i in range(8)}
    before = {f"{pid}/stat": process(name) for pid, (name, _) in names.items()}
    after = {f"{pid}/stat": process(name, busy=busy) for pid, (name, busy) in names.items()}
    state, seen = between(before, {"stat": stat(busy=3.6), **after})["load"]
    assert state == "limited"
    assert seen == "3.6 of 4 cores busy: p7 (17) 0.8, p6 (16) 0.7, p5 (15) 0.6, p4 (14) 0.5, p3 (13) 0.4"


@pytest.mark.parametrize(
    ("busy", "affinity", "state"), [(1.0, 4, "ok"), (1.7, 4, "ok"), (1.8, 4, "limited"), (3.2, 2, "ok")]
)
def test_a_load_is_too_high_if_it_would_disturb_a_trial(
    between: Callable[..., dict[str, tuple[str, str]]], busy: float, affinity: int, state: str
) -> None:
    """On four cores a trial computes on three, of which others may take a quarter; on two, on one."""
    assert between({}, {"stat": stat(busy=busy)}, affinity=affinity)["load"][0] == state


def test_this_process_idle_ones_and_those_that_just_began_are_not_named(
    between: Callable[..., dict[str, tuple[str, str]]],
) -> None:
    before = {f"{os.getpid()}/stat": process("doctor"), "8/stat": process("idle"), "9/stat": process("gone")}
    after = {f"{os.getpid()}/stat": process("doctor", busy=1), "11/stat": process("new", busy=1)}
    assert between(before, {"stat": stat(busy=0.1), **after})["load"] == ("ok", "0.1 of 4 cores busy")


def test_a_name_with_brackets_blanks_and_control_characters(
    between: Callable[..., dict[str, tuple[str, str]]],
) -> None:
    """A process chooses its name, and could write to the terminal with it."""
    name = "a) R (b\x1b]0;c"
    files = {"7/stat": process(name)}, {"7/stat": process(name, busy=1), "stat": stat(busy=1)}
    assert between(*files)["load"][1] == "1.0 of 4 cores busy: a) R (b\\x1b]0;c (7) 1.0"


def test_time_that_the_hypervisor_took(between: Callable[..., dict[str, tuple[str, str]]]) -> None:
    assert "stolen time" not in between({}, {"stat": stat(busy=1)})
    assert between({}, {"stat": stat(stolen=0.4)})["stolen time"] == (
        "limited",
        "the hypervisor gave 10% of the time to other machines",
    )
