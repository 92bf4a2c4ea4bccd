from __future__ import annotations

import platform

import pytest

from harness.doctor.checks.huge_pages import check_huge_pages
from tests.doctor.conftest import FakeMachine

MODES = ("always", "madvise", "never")


@pytest.mark.parametrize(
    ("mode", "library", "state"),
    [
        ("madvise", ("glibc", "2.36"), "ok"),
        ("always", ("glibc", "2.35"), "ok"),
        ("madvise", ("glibc", "2.34"), "limited"),
        ("madvise", ("glibc", "2.9.1"), "limited"),
        ("madvise", ("", ""), "limited"),
        ("never", ("glibc", "2.36"), "limited"),
    ],
)
def test_the_kernel_and_the_library_must_both_have_them(
    fake: FakeMachine, monkeypatch: pytest.MonkeyPatch, mode: str, library: tuple[str, str], state: str
) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: library)
    setting = " ".join(f"[{one}]" if one == mode else one for one in MODES)
    fake.write("sys/kernel/mm/transparent_hugepage/enabled", setting + "\n")
    finding = fake.only(check_huge_pages)
    assert finding.state == state
    assert f"transparent huge pages: {mode}" in finding.seen


def test_a_kernel_without_them(fake: FakeMachine) -> None:
    assert fake.only(check_huge_pages).state == "missing"
