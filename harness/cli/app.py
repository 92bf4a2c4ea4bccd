"""The commands."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import CommandOutput, TextOutput
from harness.cli.groups import (
    ABOUT_MACHINE,
    ABOUT_PROGRAMS,
    ABOUT_RESULTS,
    ABOUT_STUDIES,
    GroupedCommands,
    show_version,
)
from harness.cli.options import (
    CLICK_ERROR,
    Device,
    FolderOptions,
    JudgeOptions,
    PluginOptions,
    ReportOptions,
    RunId,
    RunOptions,
    StoredStudyArgument,
    StoredStudyOptions,
    StoreOptions,
    StudyArgument,
    StudyOptions,
    command,
    exit_with,
    seconds_option,
    show_usage_error,
)
from harness.cli.streams import ReaderGone, prepare_streams, writing_output
from harness.errors import InputError, OutputError
from harness.exit_codes import exit_codes_text

app = typer.Typer(
    cls=GroupedCommands,
    epilog=exit_codes_text(),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="List corpora and download them.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data, name="data", rich_help_panel=ABOUT_MACHINE)
store = typer.Typer(help="Check, copy and compact the store.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(store, name="store", rich_help_panel=ABOUT_RESULTS)


@app.callback()
def begin(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Declared studies of transformer techniques and of your own programs: invariants, paired measurements
    and verdicts with intervals.
    """


StudiesFolder = Annotated[
    Path | None, typer.Option("--folder", help="Folder of the studies. Default: studies.")
]


@app.command(rich_help_panel=ABOUT_STUDIES)
@command
def run(
    study: StudyArgument,
    *,
    options: RunOptions,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start a new run with other seeds, even if there is one.")
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Run those trials again that failed by themselves before."),
    ] = False,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Print the verdicts, but write no report.")
    ] = False,
    output: CommandOutput,
) -> None:
    """Run the missing trials of a study and write its report."""
    from harness.cli.running import run_study

    run_study(options.load(study), output, fresh=fresh, retry_failed=retry_failed, report=not no_report)


@app.command(rich_help_panel=ABOUT_STUDIES)
@command
def search(
    study: StudyArgument,
    *,
    space: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH=LOW:HIGH[:log|:STEP]",
            help="Search this setting, or PATH=A,B,C for choices. Can be repeated.",
        ),
    ] = None,
    objective: Annotated[
        list[str] | None, typer.Option(metavar="METRIC", help="What is best. Can be repeated.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help="How points are chosen: tpe, gp, cma-es, random, grid, qmc, nsga-ii.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Stop at N points in all, earlier ones included.")
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Stop when all points together took this long: 90s, 30m, 1.5h."),
    ] = None,
    enqueue: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH=VALUE,...", help="Try this point first. Can be repeated."),
    ] = None,
    part: Annotated[str, typer.Option(help="The part of the study to search.")] = "",
    options: RunOptions,
    output: CommandOutput,
) -> None:
    """Search for better settings, then prove the best ones on fresh seeds. Goes on where it stopped."""
    from harness.cli.searching import search_study
    from harness.study.search_options import SearchOptions

    wanted = SearchOptions(
        space=space or [], objective=objective or [], sampler=sampler, enqueue=enqueue or []
    )
    search_study(study, wanted, options, output, part=part, budget=(trials, timeout))


@app.command(rich_help_panel=ABOUT_PROGRAMS)
@command
def judge(
    a: Annotated[str, typer.Argument(metavar="A", help="The version to beat: a revision or a folder.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The version that may be better.")],
    *,
    command_line: Annotated[
        str | None,
        typer.Option(
            "--command",
            metavar="COMMAND",
            help="What runs in the files of both versions, with {seed}. Without it, A and B are commands.",
        ),
    ] = None,
    metric: Annotated[
        str, typer.Option(metavar="NAME", help="The metric that the command reports, or command_seconds.")
    ] = "command_seconds",
    higher: Annotated[
        bool, typer.Option("--higher/--lower", help="Which values are better. Default: lower.")
    ] = False,
    difference: Annotated[
        bool, typer.Option("--difference", help="Compare by differences, for values that may be zero.")
    ] = False,
    margin: Annotated[
        float | None, typer.Option(help="The largest difference that does not matter: 0.01 is 1 %.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(metavar="N", help="Pairs of seeds. Default: 8.")] = None,
    rounds: Annotated[
        int | None, typer.Option(metavar="N", help="Pairs of rounds, for times and rates. Default: 10.")
    ] = None,
    until: Annotated[
        float | None,
        typer.Option(metavar="WIDTH", help="Stop rounds when the interval is so narrow: 0.05 is 5 %."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Measure as many pairs as fit into it: 90s, 30m."),
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Measure what looks better again, on new seeds.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run trials again that failed, with the same seeds.")
    ] = False,
    control: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COMMAND", help="A command that the change cannot touch. Can be repeated."),
    ] = None,
    setup: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Builds each version once, with a shell.")
    ] = None,
    values: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:DETAILS",
            help="Where the metric is, for example csv:log.csv:loss. Default: lines of JSON.",
        ),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="The time after which a trial is ended.")
    ] = None,
    options: JudgeOptions,
    output: CommandOutput,
) -> None:
    """Say whether version B of a program is better than version A.

    Exit codes: 0 better, 1 not better, 4 undecided, 5 invalid.
    """
    from harness.cli.judging import judge_versions, read_controls, read_place
    from harness.experiment.judged_pair import Question

    question = Question(
        metric=metric,
        higher=higher,
        command=command_line,
        setup=setup,
        seeds=seeds,
        rounds=rounds,
        until=until,
        margin=margin,
        difference=difference,
        values=read_place(values),
        timeout=timeout,
        budget=None if budget is None else seconds_option(budget, "--budget"),
        controls=read_controls(control or []),
    )
    judge_versions(
        (a, b),
        question,
        options.workspace,
        output,
        device=options.device,
        confirm=confirm,
        retry_failed=retry_failed,
    )


@app.command(rich_help_panel=ABOUT_PROGRAMS)
@command
def gate(
    *,
    against: Annotated[
        str | None,
        typer.Option(metavar="REV", help="The baseline. Default: HEAD, or HEAD~1 if nothing is changed."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Compare with the figures of this file, or write it if it is missing."
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the figures of the working tree to this file.")
    ] = None,
    benchmarks: Annotated[
        Path, typer.Option(metavar="PATH", help="The benchmarks, for pytest-benchmark.")
    ] = Path("tests/benchmarks"),
    rounds: Annotated[
        int | None,
        typer.Option(metavar="N", help="Pairs of processes. Default: 10, or as many as are needed."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Run as many pairs as fit into it: 90s, 30m.")
    ] = None,
    setup: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Builds each version once, with a shell.")
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(metavar="PROGRAM", help="The Python with pytest-benchmark. Default: this one."),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="table, markdown, or smaller-is-better (JSON).")
    ] = "table",
    self_test: Annotated[
        bool,
        typer.Option("--self-test", help="Plant slow-downs, and compare a version with itself."),
    ] = False,
    real: Annotated[
        bool, typer.Option("--real", help="With --self-test: in the benchmarks of the working tree.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Measure nothing: print the times of accepted revisions.")
    ] = False,
    options: JudgeOptions,
    output: CommandOutput,
) -> None:
    """Say whether the working tree made a benchmark slower than its baseline.

    Exit codes: 0 no regression, 1 regressed, 4 undecided, 5 invalid.
    """
    from harness.cli.gate_history import show_history
    from harness.cli.gating import GateOptions, check_gate, run_gate

    asked = GateOptions(
        benchmarks=benchmarks,
        against=against,
        baseline=baseline,
        save=save,
        setup=setup,
        python=python,
        rounds=rounds,
        budget=None if budget is None else seconds_option(budget, "--budget"),
    )
    if real and not self_test:
        raise InputError("--real needs --self-test", hint="it says which benchmarks test the gate")
    if history:
        if self_test or any((against, baseline, save, rounds, budget)):
            raise InputError("--history measures nothing", hint="leave out the other options")
        show_history(options.workspace, output)
    elif self_test:
        check_gate(asked, options.workspace, output, device=options.device, real=real)
    else:
        run_gate(asked, options.workspace, output, device=options.device, form=form)


@app.command(rich_help_panel=ABOUT_RESULTS)
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


@app.command(rich_help_panel=ABOUT_STUDIES)
@command
def watch(
    study: StudyArgument,
    *,
    once: Annotated[bool, typer.Option("--once", help="Show what it does now, and end.")] = False,
    options: StoreOptions,
    output: CommandOutput,
) -> None:
    """Show what a running study does: its rounds, the curve of its trial, and the time left. q leaves."""
    from harness.cli.watching import watch_study

    watch_study(study, options.workspace, output, once=once)


@app.command(rich_help_panel=ABOUT_RESULTS)
@command
def runs(study: StudyArgument, *, options: StoreOptions, output: CommandOutput) -> None:
    """List the runs of a study, the oldest first: what differs, how far each is, and its verdicts."""
    from harness.cli.runs import show_runs

    show_runs(study, options.workspace, output)


@app.command(rich_help_panel=ABOUT_RESULTS)
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


@app.command(rich_help_panel=ABOUT_RESULTS)
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


@app.command(rich_help_panel=ABOUT_PROGRAMS)
@command
def analyse(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV, or JSON lines (.jsonl), with a row for each trial.")
    ],
    *,
    baseline: Annotated[
        str, typer.Option(metavar="ARM", help="Compare with this arm. Default: the first one in the file.")
    ] = "",
    arm: Annotated[
        str, typer.Option(metavar="COLUMN", help="The column of the arms. Default: arm, else group, variant.")
    ] = "",
    pair: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="seed|round COLUMN", help="What pairs the trials. Default: seed, else round."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Compare this column. Can be repeated. Default: all with numbers."),
    ] = None,
    lower: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Lower is better. Can be repeated.")
    ] = None,
    higher: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Higher is better. Can be repeated.")
    ] = None,
    difference: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Compare by differences, not by ratios. Can be repeated."),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="The largest difference that does not matter."),
    ] = None,
    output: CommandOutput,
) -> None:
    """Judge results that other programs measured, at best as `better, not randomised`. Writes nothing."""
    from harness.cli.analysing import show_analysis
    from harness.imported import FileOptions
    from harness.imported.options import margin_options, pair_option

    options = FileOptions(
        baseline=baseline,
        arm=arm,
        pair=pair_option(pair),
        metrics=tuple(metric or ()),
        lower=tuple(lower or ()),
        higher=tuple(higher or ()),
        difference=tuple(difference or ()),
        margins=margin_options(margin or ()),
    )
    show_analysis(file, options, output)


@app.command(rich_help_panel=ABOUT_RESULTS)
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


@app.command(rich_help_panel=ABOUT_STUDIES)
@command
def plan(
    study: StudyArgument,
    *,
    rows: Annotated[bool, typer.Option("--rows", help="Also print every trial in order.")] = False,
    options: StudyOptions,
    output: CommandOutput,
) -> None:
    """Show the arms of a study, its estimated duration, and the smallest effect that it can detect."""
    from harness.cli.planning import show_plan

    show_plan(options.load(study), output, rows=rows)


@app.command(rich_help_panel=ABOUT_STUDIES)
@command
def declare(study: StudyArgument, *, options: StudyOptions, output: CommandOutput) -> None:
    """Record a digest of all that a study declares, to be committed or sent before the data exist.

    The digest covers the study, its claims, margins and design at this scale, the code, and the date.
    """
    from harness.cli.declaring import show_declaration

    show_declaration(options.load(study), output)


@app.command(rich_help_panel=ABOUT_MACHINE)
@command
def doctor(*, options: FolderOptions, output: CommandOutput) -> None:
    """Say what this machine can and cannot measure, what disturbs it, and what to do. Changes nothing."""
    from harness.cli.doctor import show_findings

    show_findings(options.workspace, output)


@app.command(rich_help_panel=ABOUT_MACHINE)
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


@app.command(rich_help_panel=ABOUT_RESULTS)
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


@app.command(rich_help_panel=ABOUT_RESULTS)
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


@app.command("list", rich_help_panel=ABOUT_STUDIES)
@command
def list_studies(*, folder: StudiesFolder = None, options: StoreOptions, output: CommandOutput) -> None:
    """List the studies and the newest run of each."""
    from harness.cli.studies import show_studies

    show_studies(folder, options.workspace, output)


@app.command(rich_help_panel=ABOUT_STUDIES)
@command
def new(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The name of the study: small letters, digits and underscores."),
    ],
    *,
    as_plugin: Annotated[
        bool, typer.Option("--plugin", help="Write a package with parts of your own instead.")
    ] = False,
    task: Annotated[
        str, typer.Option(metavar="TASK", help="What its trials do (`harness describe task`).")
    ] = "generate",
    folder: StudiesFolder = None,
    output: TextOutput,
) -> None:
    """Write a new study with comments, or a package with parts of your own, to start from."""
    from harness.cli.new_plugin import new_plugin
    from harness.cli.studies import new_study

    if as_plugin:
        new_plugin(name, folder, output)
    else:
        new_study(name, task, folder, output)


@app.command(rich_help_panel=ABOUT_STUDIES)
@command
def invariants(
    *,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Check only this invariant. Can be repeated.")
    ] = None,
    mutants: Annotated[
        bool, typer.Option("--mutants", help="Also plant every bug and check that its invariant detects it.")
    ] = False,
    options: PluginOptions,  # noqa: ARG001  the command has the plug-ins when it begins
    output: CommandOutput,
) -> None:
    """Check every invariant on tiny models. The exit code is 5 if one fails or misses a planted bug."""
    from harness.cli.invariants import show_invariants

    show_invariants(only, output, mutants=mutants)


@app.command("plugins", rich_help_panel=ABOUT_STUDIES)
@command
def list_plugins(*, options: PluginOptions, output: CommandOutput) -> None:  # noqa: ARG001
    """List the plug-ins: what each of them adds, from which package, and why one is refused."""
    from harness.cli.plugins import show_plugins

    show_plugins(output)


@app.command(rich_help_panel=ABOUT_STUDIES)
@command
def describe(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[task|model|metrics|claims|invariants|PATH]",
            help="A list, or a setting by its path: design.rounds, base.optimizer.adamw.lr, train.batch.",
        ),
    ] = None,
    *,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the page docs/reference.md, which has everything.")
    ] = False,
    options: PluginOptions,  # noqa: ARG001  the command has the plug-ins when it begins
    output: CommandOutput,
) -> None:
    """Describe what a study may say: each setting with its type, default, bounds and meaning."""
    from harness.cli.describing import show_description
    from harness.cli.reference_page import reference_page

    if markdown:
        output.export(reference_page())
    else:
        show_description(what, output)


@app.command(rich_help_panel=ABOUT_STUDIES)
@command
def schema(
    *,
    recipe: Annotated[bool, typer.Option("--recipe", help="Print the schema of recipes instead.")] = False,
) -> None:
    """Print the JSON schema of studies, which lets editors complete and check YAML."""
    from harness.study.reading.json_schema import recipe_schema, study_schema

    CommandOutput().data(recipe_schema() if recipe else study_schema())


@app.command(rich_help_panel=ABOUT_RESULTS)
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


@app.command(rich_help_panel=ABOUT_PROGRAMS)
@command
def skill(*, output: TextOutput) -> None:
    """Print a page that teaches a coding assistant to use `harness judge`, to be saved as a skill."""
    from harness.cli.skill import skill_text

    output.export(skill_text())


@data.command("list")
@command
def list_corpora(*, options: PluginOptions, output: CommandOutput) -> None:  # noqa: ARG001
    """List the named corpora: splits, size, licence, and whether each is in the cache."""
    from harness.data.fetch import corpora
    from harness.wording import format_bytes

    rows = [asdict(info) for info in corpora()]
    if not output.json:
        for row in rows:
            row |= {"size": format_bytes(row["bytes"]), "cached": "yes" if row["cached"] else "no"}
    columns = ["name", "kind", "splits", "size", "cached", "licence", "about"]
    output.table(rows, [*columns, *(["origin", "attribution"] if output.verbose else [])])


@data.command()
@command
def fetch(
    name: Annotated[
        str | None, typer.Argument(help="A corpus; `harness data list` shows their names.")
    ] = None,
    *,
    study: Annotated[
        str | None, typer.Option(help="Fetch every corpus that this study needs, at all of its scales.")
    ] = None,
    options: PluginOptions,  # noqa: ARG001  the command has the plug-ins when it begins
    output: CommandOutput,
) -> None:
    """Download a corpus, or all corpora of a study, into the cache, so that a run needs no network."""
    from harness.cli.progress_listener import ProgressListener
    from harness.data.catalogue import entry
    from harness.data.reference import NamedCorpus
    from harness.experiment.corpora import corpora_of_study, fetch_corpora

    if (name is None) == (study is None):
        raise InputError(
            "give either a corpus or --study, and not both", hint="`harness data list` shows the corpora"
        )
    wanted = [NamedCorpus(name=entry(name).name)] if name is not None else corpora_of_study(str(study))
    with output.progress() as progress:
        rows = fetch_corpora(wanted, ProgressListener(output, progress).fetching)
    output.table(rows, ["corpus", "path"])


@store.command("check")
@command
def check(*, options: StoreOptions, output: CommandOutput) -> None:
    """Check the whole store: its file, what refers to what, and that no run was changed.

    The exit code is 5 if something is wrong. Nothing is written.
    """
    from harness.cli.store import show_check

    show_check(options.workspace, output)


@store.command("backup")
@command
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write. It must not exist.")],
    *,
    options: StoreOptions,
    output: CommandOutput,
) -> None:
    """Copy the store as it is now into a new file and check the copy, also while a driver runs."""
    from harness.cli.store import copy_store

    copy_store(options.workspace, file, output)


@store.command("compact")
@command
def compact(*, options: StoreOptions, output: CommandOutput) -> None:
    """Write the store anew, without the room that nothing uses. No driver may work on a run."""
    from harness.cli.store import compact_store

    compact_store(options.workspace, output)


def main() -> None:
    """The entry point of `harness`."""
    prepare_streams()
    try:
        with writing_output():  # outside of commands, only help is printed
            code = app(standalone_mode=False)
            sys.stdout.flush()
    except CLICK_ERROR as error:
        code = show_usage_error(error)
    except OutputError as error:
        code = exit_with(error).exit_code
    except ReaderGone:
        code = 0
    sys.exit(code or 0)
