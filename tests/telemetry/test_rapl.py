"""RAPL over a folder that looks as Linux shows the counters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.telemetry.rapl import PackageEnergy

RANGE = 262143328850


def zone(root: Path, folder: str, name: str, microjoules: int) -> Path:
    made = root / folder
    made.mkdir(parents=True)
    (made / "name").write_text(f"{name}\n")
    (made / "max_energy_range_uj").write_text(f"{RANGE}\n")
    (made / "energy_uj").write_text(f"{microjoules}\n")
    return made / "energy_uj"


@pytest.fixture
def counters(tmp_path: Path) -> list[Path]:
    """Those of two packages. Everything else there counts a part of them, or the same again."""
    zone(tmp_path, "intel-rapl:0:0", "core", 5)
    zone(tmp_path, "intel-rapl:2", "psys", 5)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 5)
    (tmp_path / "intel-rapl").mkdir()
    return [
        zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000),
        zone(tmp_path, "intel-rapl:1", "package-1", RANGE - 999_999),
    ]


def test_the_energy_of_all_packages_since_the_beginning(tmp_path: Path, counters: list[Path]) -> None:
    energy = PackageEnergy(tmp_path)
    assert energy.joules() == 0.0
    counters[0].write_text("3500000\n")
    assert energy.joules() == 2.5
    for path in tmp_path.glob("*/energy_uj"):
        if path not in counters:
            path.write_text("900000000\n")
    assert energy.joules() == 2.5
    assert energy.reason is None


def test_a_counter_that_begins_again(tmp_path: Path, counters: list[Path]) -> None:
    energy = PackageEnergy(tmp_path)
    for lap in range(1, 3):
        counters[1].write_text("1000000\n")
        assert energy.joules() == pytest.approx(2.0 + (lap - 1) * RANGE / 1e6, abs=1e-5)
        counters[1].write_text(f"{RANGE - 999_999}\n")
        energy.joules()


def test_a_machine_without_counters(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "missing"):
        energy = PackageEnergy(root)
        assert energy.joules() is None
        assert energy.reason == f"this machine shows no energy counter of a processor in {root} (RAPL)"


def test_a_counter_that_only_root_may_read(
    tmp_path: Path, counters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, **_: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return os.fsdecode(path.read_bytes())

    monkeypatch.setattr(Path, "read_text", refused)  # root, who may run the tests, may read every file
    energy = PackageEnergy(tmp_path)
    assert energy.joules() is None
    assert energy.reason == f"only root may read {tmp_path}/intel-rapl:0/energy_uj"


@pytest.mark.parametrize("content", ["", "many\n"])
def test_a_counter_that_cannot_be_read_later(tmp_path: Path, counters: list[Path], content: str) -> None:
    energy = PackageEnergy(tmp_path)
    counters[0].write_text("2000000\n")
    assert energy.joules() == 1.0
    counters[0].write_text(content)
    assert energy.joules() is None
    counters[0].write_text("3000000\n")
    assert energy.joules() is None  # what it counted in between may be more than one range
    assert str(energy.reason).startswith("RAPL cannot be read: ")


def test_a_counter_that_disappears(tmp_path: Path, counters: list[Path]) -> None:
    energy = PackageEnergy(tmp_path)
    counters[1].unlink()
    assert energy.joules() is None
    assert "energy_uj" in str(energy.reason)
