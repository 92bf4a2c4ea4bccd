"""VmHWM of this and other processes, and its reset."""

import os
import subprocess
import sys

import pytest

from harness.telemetry.memory import device_peak_bytes, peak_rss_bytes, reset_peak_rss

MIB = 1 << 20

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="VmHWM is Linux's")


def measured_in_a_child(program: str) -> list[int]:
    program = f"from harness.telemetry.memory import *\n{program}"
    return [int(word) for word in subprocess.check_output([sys.executable, "-c", program]).split()]


def test_peak_includes_what_was_freed() -> None:
    before, after = measured_in_a_child(
        "print(peak_rss_bytes())\nblock = b'x' * (100 << 20)\ndel block\nprint(peak_rss_bytes())"
    )
    assert 98 * MIB < after - before < 110 * MIB  # the kernel counts pages in batches


def test_peak_is_not_inherited_from_a_large_parent() -> None:
    ballast = b"x" * (200 * MIB)
    (peak,) = measured_in_a_child("print(peak_rss_bytes())")
    assert peak < 100 * MIB < len(ballast)


def test_peak_can_be_reset() -> None:
    program = (
        "block = b'x' * (100 << 20)\nhigh = peak_rss_bytes()\ndel block\nprint(int(reset_peak_rss()))\n"
        "print(high - peak_rss_bytes())"
    )
    allowed, fallen = measured_in_a_child(program)
    if not allowed:
        pytest.skip("this system does not let a process reset its peak")
    assert fallen > 90 * MIB


def test_peak_of_another_process_and_of_none() -> None:
    child = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1)
    assert child.stdout is not None
    child.stdout.readline()
    peak = peak_rss_bytes(child.pid)
    child.communicate(b"\n")
    assert peak is not None
    assert 1 * MIB < peak < 100 * MIB
    assert peak_rss_bytes(child.pid) is None


def test_the_processor_has_no_allocator_peak() -> None:
    assert device_peak_bytes("cpu") is None
    assert peak_rss_bytes(os.getpid()) == peak_rss_bytes()
    assert isinstance(reset_peak_rss(), bool)
