"""The commands about your own programs and results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import CommandOutput, TextOutput
from harness.cli.groups import ABOUT_PROGRAMS
from harness.cli.options import JudgeOptions, PairOptions, command, seconds_option
from harness.errors import InputError

program_commands = typer.Typer()


@program_commands.command(rich_help_panel=ABOUT_PROGRAMS)
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


@program_commands.command(rich_help_panel=ABOUT_PROGRAMS)
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
    options: PairOptions,
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


@program_commands.command(rich_help_panel=ABOUT_PROGRAMS)
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


@program_commands.command(rich_help_panel=ABOUT_PROGRAMS)
@command
def skill(*, output: TextOutput) -> None:
    """Print a page that teaches a coding assistant to use `harness judge`, to be saved as a skill."""
    from harness.cli.skill import skill_text

    output.export(skill_text())
