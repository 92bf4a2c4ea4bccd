"""The commands about stored results: reports, runs, exports and verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import CommandOutput, TextOutput
from harness.cli.groups import ABOUT_RESULTS
from harness.cli.options import (
    ReportOptions,
    RunId,
    StoredStudyArgument,
    StoredStudyOptions,
    StoreOptions,
    StudyArgument,
    command,
)
from harness.errors import InputError

result_commands = typer.Typer()


@result_commands.command(rich_help_panel=ABOUT_RESULTS)
@command
def report(
    study: StoredStudyArgument = None,
    *,
    all_studies: Annotated[
        bool, typer.Option("--all", help="Instead: write index.html about all studies, from their verdicts.")
    ] = False,
    options: ReportOptions,
    output: CommandOutput,
) -> None:
    """Judge the newest run of a study, or the given run, again and write its report."""
    from harness.cli.indexing import write_index
    from harness.cli.running import show_verdicts

    if all_studies:
        if study is not None or options.run is not None:
            raise InputError("--all is about all studies; leave out the study and --run")
        write_index(options.workspace, output)
        return
    show_verdicts(options.stored(study, output), output, report=True)


@result_commands.command(rich_help_panel=ABOUT_RESULTS)
@command
def runs(study: StudyArgument, *, options: StoreOptions, output: CommandOutput) -> None:
    """List the runs of a study, the oldest first: what differs, how far each is, and its verdicts."""
    from harness.cli.runs import show_runs

    show_runs(study, options.workspace, output)


@result_commands.command(rich_help_panel=ABOUT_RESULTS)
@command
def compare(
    ids: Annotated[
        list[str],
        typer.Argument(metavar="RUN_A RUN_B ...", help="Ids of runs, or of their trials (`harness runs`)."),
    ],
    *,
    options: StoreOptions,
    output: CommandOutput,
) -> None:
    """Show what differs between runs, and then their effects and verdicts side by side."""
    from harness.cli.comparing import show_comparison

    show_comparison(ids, options.workspace, output)


@result_commands.command(rich_help_panel=ABOUT_RESULTS)
@command
def export(
    study: StoredStudyArgument = None,
    *,
    format: Annotated[
        str,
        typer.Option(
            help="csv or parquet for all raw samples; json, markdown or latex for the contrasts; tex-macros "
            "for the claims; svg or pdf for the figures; tensorboard for curves."
        ),
    ] = "csv",
    file: Annotated[
        Path | None,
        typer.Option("--output", help="The file or the folder to write. Default: standard output."),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Export this metric. Can be repeated.")
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(metavar="FACTOR=LEVEL", help="Export this condition. Can be repeated."),
    ] = None,
    options: StoredStudyOptions,
    output: TextOutput,
) -> None:
    """Export the newest run of a study, or the given run: samples, contrasts, claims or figures."""
    from harness.cli.exports import export_study
    from harness.cli.exports.chosen import Chosen

    chosen = Chosen.from_options(metric or (), at or ())
    export_study(options.stored(study, output), format, file, chosen, output)


@result_commands.command(rich_help_panel=ABOUT_RESULTS)
@command
def show(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY|TRIAL",
            help="A study as in `harness run`, or the id of a trial. It may be left out with --run.",
        ),
    ] = None,
    *,
    options: StoredStudyOptions,
    output: CommandOutput,
) -> None:
    """Show the trials and claims of a run, by default the newest one of a study, or all data of one trial."""
    from harness.cli.showing import show_study, show_trial

    if not show_trial(what, options.workspace, output, run_id=options.run):
        show_study(options.stored(what, output), output)


@result_commands.command(rich_help_panel=ABOUT_RESULTS)
@command
def verify(
    report: Annotated[
        Path | None,
        typer.Argument(
            metavar="REPORT", help="The HTML file of a report. Default with --run: the last report of it."
        ),
    ] = None,
    *,
    run: RunId = None,
    options: StoreOptions,
    output: CommandOutput,
) -> None:
    """Compute a report again from the store, and show the first difference if there is one."""
    from harness.cli.verify import report_to_verify, verify_report

    options.workspace.check_exists()
    location = options.workspace.location
    verify_report(report_to_verify(report, run, location), location, output, run=run)


@result_commands.command(rich_help_panel=ABOUT_RESULTS)
@command
def claims(
    *,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the claims as a Markdown table between the two markers in this file."
        ),
    ] = None,
    options: StoreOptions,
    output: CommandOutput,
) -> None:
    """List all claims in the store by source: the claimed figure, the measured one and the verdict."""
    from harness.cli.claims import show_claims, write_claims

    if into is None:
        show_claims(options.workspace, output)
    else:
        write_claims(options.workspace, into, output)


@result_commands.command(rich_help_panel=ABOUT_RESULTS)
@command
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT. docs/query.md describes the views.")],
    *,
    form: Annotated[str, typer.Option("--format", help="table or csv.")] = "table",
    options: StoreOptions,
    output: CommandOutput,
) -> None:
    """Ask the store in SQL. Nothing is written."""
    from harness.cli.querying import show_answer

    show_answer(options.workspace, sql, output, form=form)
