"""The commands about this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.console import CommandOutput
from harness.cli.groups import ABOUT_MACHINE
from harness.cli.options import Device, FolderOptions, StoreOptions, command
from harness.errors import InputError

machine_commands = typer.Typer()


@machine_commands.command(rich_help_panel=ABOUT_MACHINE)
@command
def doctor(*, options: FolderOptions, output: CommandOutput) -> None:
    """Say what this machine can and cannot measure, what disturbs it, and what to do. Changes nothing."""
    from harness.cli.doctor import show_findings

    show_findings(options.workspace, output)


@machine_commands.command(rich_help_panel=ABOUT_MACHINE)
@command
def calibrate(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Take half the time and measure less precisely.")
    ] = False,
    aa: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Instead: simulate N studies that compare a baseline with itself (A/A)."
        ),
    ] = None,
    power: Annotated[
        bool, typer.Option("--power", help="Instead: simulate studies whose true effect is known.")
    ] = False,
    real: Annotated[
        int | None,
        typer.Option(metavar="N", help="Instead: really run N comparisons of a baseline with itself."),
    ] = None,
    loop: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Instead: simulate N loops that try changes and keep what looks better, by several rules.",
        ),
    ] = None,
    options: StoreOptions,
    device: Device = "auto",
    output: CommandOutput,
) -> None:
    """Measure this machine, or measure how often the analysis is wrong under its noise."""
    from harness.cli.calibrate import calibrate_machine, check_error_rates, show_loops

    if loop is not None:
        if aa is not None or power or real is not None or quick:
            raise InputError("--loop cannot be used with another option of calibrate")
        show_loops(loop, output)
    elif aa is not None or power or real is not None:
        check_error_rates(options.workspace, output, device=device, aa=aa, with_power=power, real=real)
    else:
        calibrate_machine(options.workspace, output, device=device, quick=quick)
