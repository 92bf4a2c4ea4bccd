"""Whether this machine measures what a study is about. A value that is missing makes a verdict invalid, so no
trial runs for a claim whose metric the machine cannot measure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from harness.errors import InputError, Location
from harness.metrics import Needs, metric
from harness.study.loaded import LoadedStudy
from harness.telemetry.nvml import NvmlReader
from harness.telemetry.rapl import POWERCAP, PackageEnergy


@dataclass(frozen=True)
class NotMeasured:
    """A metric of a study that this machine cannot measure. `subject` is what names it, and `decides` says
    whether a verdict depends on it.
    """

    subject: str
    metric: str
    reason: str
    decides: bool

    def __str__(self) -> str:
        return f"{self.subject} needs {self.metric}, which this machine does not measure: {self.reason}"


def not_measured(part: LoadedStudy, gpu: str | None) -> Iterator[NotMeasured]:
    """What trials of a part on this GPU, or on the CPU, cannot measure: of the primary metric, and then of
    the claims.
    """
    study, known = part.study, cache(lambda needs: _why_not(needs, gpu))
    named = [("the primary metric", study.primary, not study.design.exploratory)]
    for claim_id, claim in study.claims.items():
        decides = claim.is_decided_in(study)
        named += [(f"claim {claim_id!r}", name, decides) for name in claim.metrics(study.primary)]
    for subject, name, decides in named:
        reason = known(metric(name).needs)
        if reason is not None:
            yield NotMeasured(subject, name, reason, decides)


def check_measured(parts: Iterable[LoadedStudy], gpu: str | None, note: Callable[[str], None]) -> None:
    """Raises InputError if a verdict of a part depends on a metric that this machine cannot measure. If only
    effects without a verdict do, this is noted.
    """
    for part in parts:
        for missing in not_measured(part, gpu):
            if missing.decides:
                raise InputError(
                    str(missing),
                    at=Location(str(part.path)),
                    hint="`harness doctor` says what to do; without this metric, the study runs here",
                )
            note(str(missing))


def check_objectives_measured(names: Iterable[str], gpu: str | None) -> None:
    """Raises InputError if a search is for a metric that this machine cannot measure."""
    for name in names:
        reason = _why_not(metric(name).needs, gpu)
        if reason is not None:
            raise InputError(
                str(NotMeasured("the search", name, reason, decides=True)),
                hint="`harness doctor` says what to do; or choose another objective",
            )


def _why_not(needs: Needs | None, gpu: str | None) -> str | None:
    """Why this machine does not have what a metric needs."""
    if needs is None:
        return None
    if needs == "RAPL":
        return PackageEnergy(POWERCAP).reason
    if gpu is None:
        return "the trials run on the CPU"
    return _why_no_energy(gpu) if needs == "energy of a GPU" else None


def _why_no_energy(gpu: str) -> str | None:
    with NvmlReader() as reader:
        reading = reader.read(gpu)
    if reading.energy_j is not None or reading.power_w is not None:
        return None
    return reading.reasons.get("energy_j") or reading.reasons.get("power_w") or "NVML shows no energy"
