"""The number of rounds that calibration asks for: by how much equal trials scatter here, never by what is
being compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import InputError
from harness.machine.calibration import Calibration, Scatter
from harness.metrics import metric
from harness.statistics import rounds_needed
from harness.store.rows import CalibrationRow
from harness.study.loaded import LoadedStudy

_SETTING, _VALUE = "design.rounds", "calibrated"


@dataclass(frozen=True, kw_only=True)
class Recommended:
    """Rounds that the primary metric needs at the scatter that calibration found for it, or for the worst
    like it.
    """

    rounds: int
    scatter: Scatter
    calibrated: str


def recommended(loaded: LoadedStudy, row: CalibrationRow | None) -> Recommended | None:
    """None for what is not paired over rounds or is counted exactly, and where this machine has not been
    calibrated.
    """
    record = metric(loaded.study.primary)
    if row is None or record.paired_over != "rounds" or record.exact:
        return None
    found = Calibration.read(row.facts).scatter_of(record.name, record.margin_group)
    if found is None:
        return None
    rounds = rounds_needed(found.sigma, loaded.study.margin(record))
    return Recommended(rounds=rounds, scatter=found, calibrated=row.made_at[:10])


def asks_calibration(setting: str) -> bool:
    """Whether it is `design.rounds=calibrated`, of the whole study or of one part."""
    path, _, value = setting.partition("=")
    return value.strip() == _VALUE and (path == _SETTING or path.endswith(f".{_SETTING}"))


def with_calibrated_rounds(
    settings: Sequence[str], parts: Sequence[LoadedStudy], row: CalibrationRow | None
) -> list[str]:
    """The settings with numbers in the place of `calibrated`; `parts` are the study without those settings.

    Said of the whole study, it is for the parts whose primary metric is paired over rounds. Raises InputError
    where that is none, or where this machine has not been calibrated.
    """
    if row is None:
        raise InputError("this machine has not been calibrated", hint="harness calibrate")
    found = []
    for setting in settings:
        if not asks_calibration(setting):
            found.append(setting)
            continue
        path = setting.partition("=")[0]
        needed = {
            f"parts.{part.part}.{_SETTING}" if part.part else _SETTING: recommended(part, row)
            for part in parts
        }
        numbers = [
            f"{place}={need.rounds}" for place, need in needed.items() if need and path in (_SETTING, place)
        ]
        if not numbers:
            raise InputError(
                f"calibration sets no rounds for {setting!r}",
                hint="it does for primary metrics that are paired over rounds, as times are",
            )
        found += numbers
    return found
