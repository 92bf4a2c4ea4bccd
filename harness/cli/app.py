"""The commands.

Exit codes: 0 finished; 2 bad input, nothing written; 3 some trials failed; 5 finished, but something made
verdicts invalid; 70 a fault of the harness; 130 interrupted.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import data
from harness.cli.console import Json, Output, Quiet, Verbose, command

if TYPE_CHECKING:
    from harness.experiment import Place

app = typer.Typer(
    help="Declared studies of transformer techniques: invariants first, paired measurements, verdicts with intervals.",
    epilog="Exit codes: 0 finished, 2 bad input, 3 some trials failed, 5 verdicts are invalid, 70 a fault of the harness, "
    "130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study's YAML file, or the name of one in studies/.")
]
Scale = Annotated[
    str | None, typer.Option(help="Which of the study's scales; by default gpu where there is one, else cpu.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Another setting of the study, design.rounds=20; repeatable."
    ),
]
Results = Annotated[
    Path, typer.Option(help="Folder of the results database and the checkpoints.", envvar="HARNESS_RESULTS")
]
Store = Annotated[
    str | None,
    typer.Option(
        help="Results database, a file or a URL, if not harness.db in that folder.", envvar="HARNESS_STORE"
    ),
]
Reports = Annotated[Path, typer.Option(help="Folder of the reports.", envvar="HARNESS_REPORTS")]
Device = Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu, or a GPU's UUID.")]
Plant = Annotated[
    str | None, typer.Option(metavar="INVARIANT/BUG", help="Plant a bug, to see that the study finds it.")
]

RESULTS, REPORTS = Path("results"), Path("reports")


def _place(results: Path, store: str | None, reports: Path = REPORTS) -> Place:
    from harness.experiment import Place

    return Place(results=results, store=store, reports=reports)


@app.command()
@command
def run(
    study: StudyArgument,
    *,
    scale: Scale = None,
    settings: Settings = None,
    results: Results = RESULTS,
    store: Store = None,
    reports: Reports = REPORTS,
    device: Device = "auto",
    fresh: Annotated[bool, typer.Option("--fresh", help="Start another run, though one is there.")] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Print the verdicts alone.")] = False,
    plant: Plant = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run what a study still lacks, and write its report."""
    from harness.cli.running import run_study
    from harness.experiment import load

    place = _place(results, store, reports)
    experiment = load(study, scale=scale, settings=settings or (), device=device, place=place, plant=plant)
    run_study(experiment, Output(json=json, quiet=quiet, verbose=verbose), fresh=fresh, report=not no_report)


@app.command()
@command
def report(
    study: StudyArgument,
    *,
    scale: Scale = None,
    settings: Settings = None,
    results: Results = RESULTS,
    store: Store = None,
    reports: Reports = REPORTS,
    plant: Plant = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the report of a study's newest run again, from the store."""
    from harness.cli.running import tell
    from harness.experiment import load

    experiment = load(
        study, scale=scale, settings=settings or (), place=_place(results, store, reports), plant=plant
    )
    tell(experiment, Output(json=json, quiet=quiet, verbose=verbose), report=True)


@app.command()
@command
def export(
    study: StudyArgument,
    *,
    format: Annotated[
        str, typer.Option(help="csv or parquet: every raw sample; markdown or latex: the comparison.")
    ] = "csv",
    output: Annotated[Path | None, typer.Option(help="File to write; standard output without it.")] = None,
    scale: Scale = None,
    settings: Settings = None,
    results: Results = RESULTS,
    store: Store = None,
    plant: Plant = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write out a study's newest run: raw samples, or the comparison table."""
    from harness.cli.running import export_study
    from harness.experiment import load

    experiment = load(study, scale=scale, settings=settings or (), place=_place(results, store), plant=plant)
    export_study(experiment, format, output, Output(quiet=quiet, verbose=verbose))


@app.command()
@command
def show(
    what: Annotated[str, typer.Argument(metavar="STUDY|TRIAL", help="A study, or a trial's id.")],
    *,
    scale: Scale = None,
    settings: Settings = None,
    results: Results = RESULTS,
    store: Store = None,
    plant: Plant = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show the trials and claims of a study's newest run, or everything about one trial."""
    from harness.cli.showing import show_study, show_trial
    from harness.experiment import load

    shown, place = Output(json=json, quiet=quiet, verbose=verbose), _place(results, store)
    if not show_trial(what, place, shown):
        show_study(load(what, scale=scale, settings=settings or (), place=place, plant=plant), shown)


@app.command()
@command
def plan(
    study: StudyArgument,
    *,
    scale: Scale = None,
    settings: Settings = None,
    results: Results = RESULTS,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show what a study would run, in order, how long that takes, and what its design can see."""
    from harness.cli.planning import show_plan
    from harness.experiment import load

    experiment = load(study, scale=scale, settings=settings or (), place=_place(results, store))
    show_plan(experiment, Output(json=json, quiet=quiet, verbose=verbose))


@app.command()
@command
def calibrate(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A rougher calibration in half the time.")] = False,
    aa: Annotated[
        int | None,
        typer.Option(metavar="N", help="Instead: N simulated studies of a baseline against itself."),
    ] = None,
    power: Annotated[
        bool, typer.Option("--power", help="Instead: simulated studies whose effect is known.")
    ] = False,
    real: Annotated[
        int | None, typer.Option(metavar="N", help="Instead: N real comparisons of a trial with itself.")
    ] = None,
    results: Results = RESULTS,
    store: Store = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure this machine, or how often the analysis is wrong on this machine's noise."""
    from harness.cli.calibrate import Experiments, calibrate_machine, examine_harness

    shown, place = Output(json=json, quiet=quiet, verbose=verbose), _place(results, store)
    asked = Experiments(aa=aa, power=power, real=real)
    if asked.any:
        examine_harness(asked, place, shown, device=device)
    else:
        calibrate_machine(place, shown, device=device, quick=quick)


@app.command()
@command
def verify(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="The HTML file of a report.")],
    *,
    results: Results = RESULTS,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compute every number of a report again from the store, and fail on the first that differs."""
    from harness.cli.verify import verify_report

    place = _place(results, store)
    place.check_there()
    verify_report(report, place.location, Output(json=json, quiet=quiet, verbose=verbose))


@app.command()
@command
def claims(
    *,
    into: Annotated[
        Path | None,
        typer.Option(
            help="Write them as a Markdown table between the two markers of this file.", metavar="FILE"
        ),
    ] = None,
    results: Results = RESULTS,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List every claim in the store, source by source: its figure, ours with its interval, the verdict."""
    from harness.cli.claims import show_ledger
    from harness.cli.results_table import write_table

    place, output = _place(results, store), Output(json=json, quiet=quiet, verbose=verbose)
    if into is None:
        show_ledger(place, output)
    else:
        write_table(place, into, output)


@app.command("list")
@command
def list_studies(
    *,
    folder: Annotated[Path, typer.Option(help="Folder of the studies.")] = Path("studies"),
    results: Results = RESULTS,
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the studies, and the newest run of each."""
    from harness.cli.studies import show_studies

    show_studies(folder, _place(results, store), Output(json=json, quiet=quiet, verbose=verbose))


@app.command()
@command
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The study's name: letters, digits, underscores.")
    ],
    *,
    folder: Annotated[Path, typer.Option(help="Folder of the studies.")] = Path("studies"),
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a commented study to start from."""
    from harness.cli.studies import new_study

    new_study(name, folder, Output(quiet=quiet, verbose=verbose))


@app.command()
@command
def invariants(
    *,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This invariant alone; repeatable.")
    ] = None,
    mutants: Annotated[
        bool, typer.Option("--mutants", help="Plant every bug too, and see that its invariant finds it.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check every invariant on tiny models; 5 where one fails or a planted bug survives."""
    from harness.cli.invariants import show_invariants

    show_invariants(only, Output(json=json, quiet=quiet, verbose=verbose), mutants=mutants)


@app.command()
@command
def schema() -> None:
    """Print the JSON schema of studies, for editors that complete and check YAML."""
    from harness.study.reading.json_schema import study_schema

    Output().data(study_schema())


def main() -> None:
    """The entry point of `harness`."""
    app()
