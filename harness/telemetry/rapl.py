"""Energy of the processor packages from RAPL, the counters of Intel and AMD processors.

A counter covers a whole package: its cores and caches with every program that runs there. Linux shows the
counters as files, and on most machines only root may read them.
"""

from __future__ import annotations

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class PackageEnergy:
    """The energy of all processor packages since it was made, in joules. `reason` says why it is unknown."""

    def __init__(self, root: Path = POWERCAP) -> None:
        self.reason: str | None = None
        self._packages: list[_Package] = []
        try:
            # other interfaces show the same counters again under another prefix, such as intel-rapl-mmio
            zones = sorted(root.glob("intel-rapl:*"))
            names = [(zone / "name").read_text(encoding="ascii") for zone in zones]
            pairs = zip(names, zones, strict=True)
            self._packages = [_Package(zone) for name, zone in pairs if name.startswith("package")]
            if not self._packages:
                self.reason = f"this machine shows no energy counter of a processor in {root} (RAPL)"
        except (OSError, ValueError) as error:
            self._fail(error)

    def joules(self) -> float | None:
        """The energy since the object was made, or None."""
        if self.reason is not None:
            return None
        try:
            return sum(package.joules() for package in self._packages)
        except (OSError, ValueError) as error:
            self._fail(error)
            return None

    def _fail(self, error: OSError | ValueError) -> None:
        if isinstance(error, PermissionError):
            self.reason = f"only root may read {error.filename}"
        else:
            self.reason = f"RAPL cannot be read: {error}"


class _Package:
    """One counter. It counts from 0 to its range and then begins again."""

    def __init__(self, zone: Path) -> None:
        self._file = zone / "energy_uj"
        self._range = int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
        self._before = self._read()
        self._microjoules = 0

    def joules(self) -> float:
        """Correct if the counter has begun again at most once since the call before, which takes minutes."""
        now = self._read()
        self._microjoules += (now - self._before) % (self._range + 1)
        self._before = now
        return self._microjoules / 1e6

    def _read(self) -> int:
        return int(self._file.read_text(encoding="ascii"))
