"""The commands about studies: run, plan, declare, list and describe them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import CommandOutput, TextOutput
from harness.cli.groups import ABOUT_STUDIES
from harness.cli.options import PluginOptions, RunOptions, StoreOptions, StudyArgument, StudyOptions, command

study_commands = typer.Typer()

StudiesFolder = Annotated[
    Path | None, typer.Option("--folder", help="Folder of the studies. Default: studies.")
]


@study_commands.command(rich_help_panel=ABOUT_STUDIES)
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


@study_commands.command(rich_help_panel=ABOUT_STUDIES)
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


@study_commands.command(rich_help_panel=ABOUT_STUDIES)
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


@study_commands.command(rich_help_panel=ABOUT_STUDIES)
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


@study_commands.command(rich_help_panel=ABOUT_STUDIES)
@command
def declare(study: StudyArgument, *, options: StudyOptions, output: CommandOutput) -> None:
    """Record a digest of all that a study declares, to be committed or sent before the data exist.

    The digest covers the study, its claims, margins and design at this scale, the code, and the date.
    """
    from harness.cli.declaring import show_declaration

    show_declaration(options.load(study), output)


@study_commands.command("list", rich_help_panel=ABOUT_STUDIES)
@command
def list_studies(*, folder: StudiesFolder = None, options: StoreOptions, output: CommandOutput) -> None:
    """List the studies and the newest run of each."""
    from harness.cli.studies import show_studies

    show_studies(folder, options.workspace, output)


@study_commands.command(rich_help_panel=ABOUT_STUDIES)
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


@study_commands.command(rich_help_panel=ABOUT_STUDIES)
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


@study_commands.command("plugins", rich_help_panel=ABOUT_STUDIES)
@command
def list_plugins(*, options: PluginOptions, output: CommandOutput) -> None:  # noqa: ARG001
    """List the plug-ins: what each of them adds, from which package, and why one is refused."""
    from harness.cli.plugins import show_plugins

    show_plugins(output)


@study_commands.command(rich_help_panel=ABOUT_STUDIES)
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


@study_commands.command(rich_help_panel=ABOUT_STUDIES)
@command
def schema(
    *,
    recipe: Annotated[bool, typer.Option("--recipe", help="Print the schema of recipes instead.")] = False,
) -> None:
    """Print the JSON schema of studies, which lets editors complete and check YAML."""
    from harness.study.reading.json_schema import recipe_schema, study_schema

    CommandOutput().data(recipe_schema() if recipe else study_schema())
