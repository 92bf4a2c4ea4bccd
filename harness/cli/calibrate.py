"""`harness calibrate`: what this machine can do, and how often the analysis is wrong on noise like this
machine's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.cli.console import Output
from harness.cli.running import ProgressListener
from harness.errors import InputError, InvalidError
from harness.metrics import METRICS
from harness.statistics import rounds_needed
from harness.wording import format_seconds

if TYPE_CHECKING:
    from harness.calibrate.error_rates import FalseAlarms, Power
    from harness.calibrate.noise import Residuals
    from harness.experiment import Place
    from harness.store.rows import CalibrationRow

POWER_STUDIES, PLANTED = 1000, 100
MOST_STUDIES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Experiments:
    """Which experiments on the harness itself were asked for; none of them is a calibration of the machine."""

    aa: int | None
    power: bool
    real: int | None

    def check(self) -> None:
        """Raises InputError."""
        if self.aa is not None and self.real is not None:
            raise InputError("--aa and --real answer the same question", hint="ask for one of them at a time")
        for name, studies in (("--aa", self.aa), ("--real", self.real)):
            if studies is not None and not 1 <= studies <= MOST_STUDIES:
                raise InputError(f"{name} {studies} is no number of studies", hint=f"1 to {MOST_STUDIES:,}")

    @property
    def any(self) -> bool:
        return self.aa is not None or self.power or self.real is not None


def calibrate_machine(place: Place, output: Output, *, device: str, quick: bool) -> None:
    """Measure this machine, keep what was found, and show it."""
    from harness.calibrate.machine import calibrate

    with output.progress() as progress:
        row = calibrate(place, device=device, quick=quick, listener=ProgressListener(output, progress))
    _show(row, output)


def _show(row: CalibrationRow, output: Output) -> None:
    from harness.machine.calibration import Calibration

    found = Calibration.read(row.facts)
    limits = found.limits
    rounds = {one.metric: rounds_needed(one.sigma, METRICS[one.metric].margin) for one in found.scatter}
    if output.json:
        output.data({**asdict(row), "rounds_needed": rounds})
        return
    per_second = {f"matrix product, {name}": (flops, 1e9, "GFLOP/s") for name, flops in limits.matmul.items()}
    per_second["memory, read"] = limits.read_bandwidth, 1e9, "GB/s"
    per_second["memory, copy"] = limits.copy_bandwidth, 1e9, "GB/s"
    shown = [
        {"what": what, "measured": "none" if value is None else f"{value / unit:.4g} {name}"}
        for what, (value, unit, name) in per_second.items()
    ]
    shown.append({"what": "clock, smallest step", "measured": format_seconds(limits.timer_step_ns / 1e9)})
    shown.append({"what": "clock, one reading", "measured": format_seconds(limits.timer_call_ns / 1e9)})
    output.table(shown, ["what", "measured"])
    output.table(
        [
            {
                "metric": one.metric,
                "scatter": f"{one.sigma:.2%}",
                "rounds": one.rounds,
                "margin": f"{METRICS[one.metric].margin:.0%}",
                "rounds_needed": rounds[one.metric],
            }
            for one in found.scatter
        ],
        ["metric", "scatter", "rounds", "margin", "rounds_needed"],
    )
    output.note(
        f"{limits.device}, {limits.threads} threads; scatter: SD of log ratios of two equal arms within rounds"
    )


def examine_harness(asked: Experiments, place: Place, output: Output, *, device: str) -> None:
    """Run the experiments asked for.

    Raises InvalidError, after all is printed, where a figure is out of its bounds.
    """
    asked.check()
    figures: dict[str, Any] = {}
    wrong: list[str] = []
    if asked.real is not None:
        _false_alarms(_real(asked.real, place, output, device), figures, wrong)
    if asked.aa is not None or asked.power:
        from harness.calibrate.error_rates import false_alarms, power
        from harness.machine.environment import available_cores

        residuals = _residuals(place)
        if asked.aa is not None:
            _false_alarms(false_alarms(residuals, asked.aa, processes=available_cores()), figures, wrong)
        if asked.power:
            _power(
                power(residuals, at_margin=POWER_STUDIES, planted=PLANTED, processes=available_cores()),
                figures,
                wrong,
            )
    if output.json:
        output.data(figures)
    else:
        output.table([{"what": name, "figure": value} for name, value in figures.items()], ["what", "figure"])
    if wrong:
        raise InvalidError("; ".join(wrong))


def _residuals(place: Place) -> Residuals:
    from harness.calibrate.noise import shipped_residuals, stored_residuals
    from harness.experiment.experiment import this_machine
    from harness.store.store import open_store

    found = None
    if place.has_store():
        with open_store(place.location) as store:
            found = stored_residuals(store, this_machine("cpu")[0].machine)
    return found or shipped_residuals()


def _real(studies: int, place: Place, output: Output, device: str) -> FalseAlarms:
    from harness.calibrate.real_aa_runs import real_false_alarms, seconds_needed

    output.note(
        f"{studies} comparisons in real runs: about {seconds_needed(studies) / 60:.0f} minutes on two cores"
    )
    with output.progress() as progress:
        return real_false_alarms(studies, place, device=device, listener=ProgressListener(output, progress))


def _false_alarms(found: FalseAlarms, figures: dict[str, Any], wrong: list[str]) -> None:
    figures |= asdict(found)
    if not found.within:
        low, high = found.bounds
        wrong.append(f"{found.excluding_zero} of {found.studies} intervals exclude zero, not {low} to {high}")


def _power(found: Power, figures: dict[str, Any], wrong: list[str]) -> None:
    figures |= asdict(found)
    if not found.within:
        wrong.append(
            f"{found.found} of {found.planted} planted effects were found, at least {found.least_found} should be; "
            f"{found.equivalent_at_margin} of {found.at_margin} were called equivalent, at most {found.most_equivalent_at_margin} may be"
        )
