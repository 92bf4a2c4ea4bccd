"""The commands. Exit codes: 0 done; 1 it ran, and something in it failed; 2 bad input; 70 a fault of the harness; 130 interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import data
from harness.cli.console import Json, Output, Quiet, Verbose, command

DATABASE = "harness.sqlite"

app = typer.Typer(
    help="Declared studies of transformer techniques: invariants first, paired measurements, verdicts with intervals.",
    epilog="Exit codes: 0 done, 1 something in a run failed, 2 bad input, 70 a fault of the harness, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study's YAML file, or the name of one in studies/.")
]
Scale = Annotated[str, typer.Option(help="Which of the study's scales.")]
Results = Annotated[
    Path, typer.Option(help="Folder of the results database and the checkpoints.", envvar="HARNESS_RESULTS")
]
Store = Annotated[
    str | None,
    typer.Option(
        help="Results database, a file or a URL, if not harness.sqlite in the folder.", envvar="HARNESS_STORE"
    ),
]
Reports = Annotated[Path, typer.Option(help="Folder of the reports.", envvar="HARNESS_REPORTS")]
Device = Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu, or a GPU's UUID.")]
Plant = Annotated[
    str | None, typer.Option(metavar="INVARIANT/BUG", help="Plant a bug, to see that the study finds it.")
]


@app.command()
@command
def run(
    study: StudyArgument,
    *,
    scale: Scale = "cpu",
    results: Results = Path("results"),
    store: Store = None,
    reports: Reports = Path("reports"),
    device: Device = "auto",
    fresh: Annotated[bool, typer.Option("--fresh", help="Start another run, though one is there.")] = False,
    plant: Plant = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run what a study still lacks, and write its report."""
    from harness.cli.running import RunRequest, run_study

    request = RunRequest(
        study=study, scale=scale, results=results, store=store or str(results / DATABASE), reports=reports,
        device=device, fresh=fresh, plant=plant,
    )  # fmt: skip
    run_study(request, Output(json=json, quiet=quiet, verbose=verbose))


@app.command()
@command
def report(
    study: StudyArgument,
    *,
    scale: Scale = "cpu",
    results: Results = Path("results"),
    store: Store = None,
    reports: Reports = Path("reports"),
    plant: Plant = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the report of a study's newest run again, from the store."""
    from harness.cli.running import RunRequest, report_study

    request = RunRequest(
        study=study,
        scale=scale,
        results=results,
        store=store or str(results / DATABASE),
        reports=reports,
        plant=plant,
    )
    report_study(request, Output(json=json, quiet=quiet, verbose=verbose))


@app.command()
@command
def export(
    study: StudyArgument,
    *,
    scale: Scale = "cpu",
    results: Results = Path("results"),
    store: Store = None,
    plant: Plant = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Print every raw sample of a study's newest run as CSV, one row each."""
    from harness.cli.running import RunRequest, export_study

    request = RunRequest(
        study=study,
        scale=scale,
        results=results,
        store=store or str(results / DATABASE),
        reports=results,
        plant=plant,
    )
    export_study(request, Output(quiet=quiet, verbose=verbose))


@app.command()
@command
def plan(
    study: StudyArgument,
    *,
    scale: Scale = "cpu",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show what a study would run, in order, and what its design can see."""
    from harness.cli.planning import show_plan

    show_plan(study, scale, Output(json=json, quiet=quiet, verbose=verbose))


@app.command("list")
@command
def list_studies(
    *,
    folder: Annotated[Path, typer.Option(help="Folder of the studies.")] = Path("studies"),
    results: Results = Path("results"),
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the studies, and the newest run of each."""
    from harness.cli.planning import show_studies

    show_studies(folder, store or results / DATABASE, Output(json=json, quiet=quiet, verbose=verbose))


@app.command()
@command
def schema() -> None:
    """Print the JSON schema of studies, for editors that complete and check YAML."""
    from harness.study.json_schema import study_schema

    Output().data(study_schema())


def main() -> None:
    """The entry point of `harness`."""
    app()
