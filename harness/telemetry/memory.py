"""Peaks of memory: the resident set of a process, and the allocator of an accelerator.

The peak of a process is VmHWM of /proc/PID/status. `ru_maxrss` is not used: a process inherits its parent's
across fork and exec, so a small trial of a large driver would report the driver's.
"""

from __future__ import annotations

from pathlib import Path

_KIB = 1024


def peak_rss_bytes(pid: int | None = None) -> int | None:
    """The largest resident set so far of a process, this one by default; None where it has gone or there is
    no /proc.
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
    """Make this process's peak its present resident set; False where the system does not allow it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def device_peak_bytes(device: str) -> int | None:
    """The largest allocation of tensors on an accelerator since `reset_device_peak`; None for the CPU, which
    has none.

    It repeats exactly, so it is compared exactly. What the allocator holds in reserve is not counted.
    """
    if device == "cpu":
        return None
    import torch

    return torch.accelerator.max_memory_allocated(torch.device(device))


def reset_device_peak(device: str) -> None:
    """Start a new peak from what is allocated on the accelerator now; nothing to do for the CPU."""
    if device != "cpu":
        import torch

        torch.accelerator.reset_peak_memory_stats(torch.device(device))
