"""The number of rounds that a calibration recommends. It depends on the scatter of equal trials on this
machine, never on the arms that are compared.
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
class Recommendation:
    """The rounds that the primary metric needs, given the scatter that the calibration measured for it, or
    for the similar metric that scatters most.
    """

    rounds: int
    scatter: Scatter
    calibrated: str


def recommended_rounds(loaded: LoadedStudy, row: CalibrationRow | None) -> Recommendation | None:
    """None if the primary metric is not paired over rounds or is counted exactly, or if this machine has not
    been calibrated.
    """
    record = metric(loaded.study.primary)
    if row is None or record.paired_over != "rounds" or record.exact:
        return None
    scatter = Calibration.read(row.facts).scatter_of(record.name, record.margin_group)
    if scatter is None:
        return None
    rounds = rounds_needed(scatter.sigma, loaded.study.margin(record))
    return Recommendation(rounds=rounds, scatter=scatter, calibrated=row.made_at[:10])


def asks_calibration(setting: str) -> bool:
    """Whether a setting is `design.rounds=calibrated`, for the whole study or for one part."""
    path, _, value = setting.partition("=")
    return value.strip() == _VALUE and (path == _SETTING or path.endswith(f".{_SETTING}"))


def with_calibrated_rounds(
    settings: Sequence[str], parts: Sequence[LoadedStudy], row: CalibrationRow | None
) -> list[str]:
    """The settings with numbers instead of `calibrated`. `parts` is the study without these settings.

    A setting of the whole study applies to the parts whose primary metric is paired over rounds. Raises
    InputError if there is no such part, or if this machine has not been calibrated.
    """
    if row is None:
        raise InputError("this machine has not been calibrated", hint="run `harness calibrate`")
    numbered = []
    for setting in settings:
        if not asks_calibration(setting):
            numbered.append(setting)
            continue
        path = setting.partition("=")[0]
        needed = {
            f"parts.{part.part}.{_SETTING}" if part.part else _SETTING: recommended_rounds(part, row)
            for part in parts
        }
        numbers = [f"{key}={need.rounds}" for key, need in needed.items() if need and path in (_SETTING, key)]
        if not numbers:
            raise InputError(
                f"a calibration cannot set the rounds of {setting!r}",
                hint="it can if the primary metric is paired over rounds, as times are",
            )
        numbered += numbers
    return numbered
