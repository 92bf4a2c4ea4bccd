"""`harness calibrate`: measure this machine, or how often the analysis is wrong under its noise."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from harness.calibrate.error_rates import (
    FalseAlarms,
    Power,
    disturbed_false_alarms,
    false_alarms,
    power,
    real_false_alarms,
    seconds_needed,
)
from harness.calibrate.machine import calibrate
from harness.calibrate.noise import Residuals, shipped_residuals, stored_residuals
from harness.cli.console import CommandOutput
from harness.cli.progress_listener import ProgressListener
from harness.errors import InputError, InvalidError
from harness.experiment import Workspace
from harness.experiment.this_machine import this_machine
from harness.machine.calibration import Calibration
from harness.metrics import metric
from harness.statistics import rounds_needed
from harness.store.rows import CalibrationRow
from harness.store.store import open_store
from harness.wording import format_seconds

POWER_STUDIES, PLANTED = 1000, 100
MOST_STUDIES = 1_000_000
MOST_LOOPS = 10_000


def calibrate_machine(workspace: Workspace, output: CommandOutput, *, device: str, quick: bool) -> None:
    """Measure this machine, store the result and print it."""
    with output.progress() as progress:
        row = calibrate(workspace, device=device, quick=quick, listener=ProgressListener(output, progress))
    _print_calibration(row, output)


def _print_calibration(row: CalibrationRow, output: CommandOutput) -> None:
    calibration = Calibration.read(row.facts)
    margins = {one.metric: metric(one.metric).margin for one in calibration.scatter}
    rounds = {one.metric: rounds_needed(one.sigma, margins[one.metric]) for one in calibration.scatter}
    if output.json:
        output.data({**asdict(row), "rounds_needed": rounds})
        return
    limits = calibration.limits
    rates = {f"matrix product, {name}": (flops, 1e9, "GFLOP/s") for name, flops in limits.matmul.items()}
    rates["memory, read"] = limits.read_bandwidth, 1e9, "GB/s"
    rates["memory, copy"] = limits.copy_bandwidth, 1e9, "GB/s"
    measured = {
        what: "not supported" if value is None else f"{value / unit:.4g} {name}"
        for what, (value, unit, name) in rates.items()
    }
    measured["clock, smallest step"] = format_seconds(limits.timer_step_ns / 1e9)
    measured["clock, one reading"] = format_seconds(limits.timer_call_ns / 1e9)
    output.table(
        [{"what": what, "measured": value} for what, value in measured.items()], ["what", "measured"]
    )
    output.table(
        [
            {
                "metric": one.metric,
                "scatter": f"{one.sigma * 100:.2f} %",
                "rounds": one.rounds,
                "margin": f"{margins[one.metric] * 100:.0f} %",
                "rounds_needed": rounds[one.metric],
            }
            for one in calibration.scatter
        ],
        ["metric", "scatter", "rounds", "margin", "rounds_needed"],
    )
    output.note(
        f"{limits.device}, {limits.threads} threads; the scatter is the standard deviation of the log ratio "
        "of two equal arms in the same round"
    )


def check_error_rates(
    workspace: Workspace,
    output: CommandOutput,
    *,
    device: str,
    aa: int | None,
    with_power: bool,
    real: int | None,
) -> None:
    """Run the requested checks and print their figures.

    Raises InputError if the options contradict each other or are out of range. Raises InvalidError, after
    everything has been printed, if a figure is outside its bounds.
    """
    _check_numbers(aa, real)
    results: list[FalseAlarms | Power] = []
    disturbed: list[FalseAlarms] = []
    if real is not None:
        results.append(_real_false_alarms(real, workspace, output, device))
    if aa is not None or with_power:
        from harness.machine.environment import usable_cores

        residuals, cores = _residuals(workspace), usable_cores()
        if aa is not None:
            results.append(false_alarms(residuals, aa, processes=cores))
            disturbed = disturbed_false_alarms(residuals, aa, processes=cores)
        if with_power:
            results.append(power(residuals, at_margin=POWER_STUDIES, planted=PLANTED, processes=cores))
    figures: dict[str, Any] = {}
    for result in results:
        figures |= asdict(result)
    if output.json:
        output.data(figures | ({"disturbed": [asdict(one) for one in disturbed]} if disturbed else {}))
    else:
        output.table([{"what": name, "figure": value} for name, value in figures.items()], ["what", "figure"])
        rows = [{**asdict(one), "at_most": one.bounds[1]} for one in disturbed]
        output.table(rows, ["noise", "arms", "studies", "excluding_zero", "at_most", "equivalent"])
        for result in results:
            output.note(result.summary())
    problems = [result.summary() for result in (*results, *disturbed) if not result.within]
    if problems:
        raise InvalidError("; ".join(problems))


def show_loops(loops: int, output: CommandOutput) -> None:
    """Simulate loops that keep what looks better, and print what each rule kept."""
    from harness.calibrate.loops import GAIN, GAINS, NOTHING, compare_loops
    from harness.machine.environment import usable_cores

    if not 1 <= loops <= MOST_LOOPS:
        raise InputError(f"--loop must be between 1 and {MOST_LOOPS:,} (got {loops:,})")
    results = compare_loops(loops, processes=usable_cores())
    if output.json:
        output.data([asdict(one) for one in results])
        return
    rows = [
        {
            "scatter": f"{one.scatter:.1%}",
            "rule": one.rule,
            "false_kept": f"{one.false_kept:.1f}",
            "gains_found": f"{one.gains_found:.1f}",
            "trainings": f"{one.trainings:.0f}",
        }
        for one in results
    ]
    output.table(rows, ["scatter", "rule", "false_kept", "gains_found", "trainings"])
    output.note(
        f"means of {loops} loops: of {NOTHING} changes that do nothing, those that were kept; of {GAINS} "
        f"changes that lower the loss by {GAIN:.0%}, those that were found; trainings for each change"
    )


def _check_numbers(aa: int | None, real: int | None) -> None:
    if aa is not None and real is not None:
        raise InputError("--aa and --real cannot be used together", hint="run them one after the other")
    for name, studies in (("--aa", aa), ("--real", real)):
        if studies is not None and not 1 <= studies <= MOST_STUDIES:
            raise InputError(f"{name} must be between 1 and {MOST_STUDIES:,} (got {studies:,})")


def _residuals(workspace: Workspace) -> Residuals:
    measured = None
    if workspace.has_store():
        with open_store(workspace.location) as store:
            measured = stored_residuals(store, this_machine("cpu")[0].machine)
    return measured or shipped_residuals()


def _real_false_alarms(studies: int, workspace: Workspace, output: CommandOutput, device: str) -> FalseAlarms:
    minutes = seconds_needed(studies) / 60
    output.note(f"running {studies} real comparisons: about {minutes:.0f} minutes on two cores")
    with output.progress() as progress:
        display = ProgressListener(output, progress)
        return real_false_alarms(studies, workspace, device=device, listener=display)
