"""Peaks of memory: the resident set of a process, and the allocator of an accelerator.

The peak of a process is VmHWM in /proc/PID/status. `ru_maxrss` is not used, because a process inherits it
from its parent across fork and exec: a small trial of a large driver would report the driver's peak.
"""

from __future__ import annotations

from pathlib import Path

_KIB = 1024


def peak_rss_bytes(pid: int | None = None) -> int | None:
    """The largest resident set of a process so far, by default of this one.

    None if the process has ended or the system has no /proc.
    """
    try:
        status = Path(f"/proc/{pid or 'self'}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * _KIB
    return None  # a zombie has no memory


def reset_peak_rss() -> bool:
    """Start a new peak from this process's present resident set; False if the system does not allow it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def device_peak_bytes(device: str) -> int | None:
    """The largest allocation of tensors on an accelerator since `reset_device_peak`, or None for the CPU.

    It repeats exactly, so it is compared exactly. Memory that the allocator holds in reserve does not count.
    """
    if device == "cpu":
        return None
    import torch

    return torch.accelerator.max_memory_allocated(torch.device(device))


def reset_device_peak(device: str) -> None:
    """Start a new peak from the present allocation on the accelerator. For the CPU this does nothing."""
    if device != "cpu":
        import torch

        torch.accelerator.reset_peak_memory_stats(torch.device(device))
