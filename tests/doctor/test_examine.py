"""All checks together: on this machine, and on one that shows nothing at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.doctor import Finding, Machine, examine
from harness.doctor import checks as folder
from harness.doctor.examine import CHECKS
from tests.doctor.conftest import FakeMachine


def assert_complete(findings: list[Finding]) -> None:
    subjects = [finding.subject for finding in findings]
    assert len(set(subjects)) == len(subjects)
    for finding in findings:
        assert finding.seen
        assert finding.state == "ok" or (finding.meaning and finding.advice), finding.subject
        assert all(
            "\n" not in text for text in (finding.subject, finding.seen, finding.meaning, finding.advice)
        )


def test_every_file_of_the_checks_is_used() -> None:
    files = {path.stem for path in Path(str(folder.__file__)).parent.glob("[a-z]*.py")}
    assert {f"check_{name}" for name in files} == {check.__name__ for check in CHECKS}


def test_this_machine(tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    machine = Machine(
        results=tmp_path / "results", reports=tmp_path, cache=tmp_path, store="x.db", pause=lambda _: None
    )
    findings = examine(machine)
    assert_complete(findings)
    assert {"load", "usable cores", "memory", "lease"} <= {finding.subject for finding in findings}
    assert sorted(tmp_path.rglob("*")) == before, "it only looks"


def test_a_machine_that_shows_nothing(fake: FakeMachine) -> None:
    findings = examine(fake.machine(synchronised=lambda: None))
    assert_complete(findings)
    states = {finding.subject: finding.state for finding in findings}
    assert {name for name, state in states.items() if state == "missing"} >= {
        *("load", "CPU quota", "memory of the group", "frequency", "turbo", "clock source", "wall clock"),
        *("memory", "huge pages", "pressure (PSI)", "performance events", "hyperthreading"),
    }


@pytest.mark.parametrize("garbage", ["", "\0", "-1", "max", "cpu 1 2\n" * 9])
def test_a_machine_whose_files_hold_garbage(fake: FakeMachine, garbage: str) -> None:
    fake.cgroup(cpu__max=garbage, cpu__stat=garbage, memory__max=garbage, memory__events=garbage)
    for path in (
        *("proc/stat", "proc/meminfo", "proc/net/unix", "proc/locks", "proc/7/stat", "proc/pressure/cpu"),
        *("proc/sys/kernel/perf_event_paranoid", "sys/kernel/mm/transparent_hugepage/enabled"),
        *("sys/devices/system/cpu/smt/active", "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        *("sys/devices/system/cpu/cpufreq/boost", "sys/devices/system/cpu/intel_pstate/no_turbo"),
        "sys/devices/system/clocksource/clocksource0/current_clocksource",
    ):
        fake.write(path, garbage)
    assert_complete(examine(fake.machine()))


def test_a_check_that_meets_something_unknown_says_so(fake: FakeMachine) -> None:
    fake.write("proc/meminfo", "MemTotal: lots\n")
    (memory,) = [finding for finding in examine(fake.machine()) if finding.subject == "memory"]
    assert (memory.state, memory.seen) == (
        "missing",
        "cannot be examined: ValueError: invalid literal for int() with base 10: 'lots'",
    )
