"""Groups of options that several commands share, and the errors and exit codes of every command."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from harness.cli.streams import ReaderGone, flush_output, has_colours, write_note
from harness.errors import (
    HarnessError,
    InputError,
    Location,
    StoreError,
    StoreLostError,
    StudyError,
    message_line,
)
from harness.exit_codes import ExitCode
from harness.masking import masked
from harness.metrics import declare
from harness.paths import expanded, home_is_writable
from harness.plugins import load_plugins, using
from harness.run.stopping import Interrupted, interruptible
from harness.store.written import recorded_transactions
from harness.study.shipped import OWN_STUDIES, SHIPPED, studies_in
from harness.visible import visible

if TYPE_CHECKING:
    from harness.cli.console import CommandOutput
    from harness.experiment import Experiment, StudyExperiment, Workspace

MOST_OTHERS = 20
"""As many other problems of a study are listed after the first one."""

CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
"""The base of all errors in arguments, which typer does not give a public name."""


def study_names(incomplete: str) -> list[str]:
    """The names of studies that begin so, for the completion of a shell."""
    known = {**studies_in(OWN_STUDIES), **studies_in(SHIPPED)}
    return sorted(name for name in known if name.startswith(incomplete))


StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        autocompletion=study_names,
        help="The YAML file of a study, or the name of a study in studies/ or of one that ships.",
    ),
]
StoredStudyArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="STUDY",
        autocompletion=study_names,
        help="The study as in `harness run`. It may be left out with --run.",
    ),
]
RunId = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="ID",
        help="The run with this id, or with a trial of this id (`harness runs`). Default: the newest run.",
    ),
]
Device = Annotated[
    str, typer.Option(help="auto (a GPU if there is one, else the CPU), cpu, or the UUID of a GPU.")
]

BackendName = Annotated[
    str | None, typer.Option(metavar="NAME", help="Where trials run: local, ray, or that of a plug-in.")
]
ProfileName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        envvar="HARNESS_PROFILE",
        help="A site profile, a TOML file outside of the project: its name or path (docs/clusters.md).",
    ),
]

ReportsFolder = Annotated[Path, typer.Option(help="Folder of the reports.", envvar="HARNESS_REPORTS")]


@dataclass(frozen=True, kw_only=True)
class PluginOptions:
    """Modules that count as plug-ins while the command runs."""

    plugin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE", help="Use this Python module as a plug-in: its code runs. Can be repeated."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class StoreOptions(PluginOptions):
    """Where the results are. A subclass makes an option of a plain field by annotating it."""

    results: Annotated[
        Path, typer.Option(help="Folder of the store and the checkpoints.", envvar="HARNESS_RESULTS")
    ] = Path("results")
    store: Annotated[
        str | None,
        typer.Option(
            help="The store, a database file or a URL. Default: harness.db in the results folder.",
            envvar="HARNESS_STORE",
        ),
    ] = None
    reports: Path = Path("reports")
    backend: str | None = None
    profile: str | None = None

    @property
    def workspace(self) -> Workspace:
        from harness.experiment import Workspace
        from harness.run.backends.profile import chosen_backend

        backend = chosen_backend(self.backend, self.profile)
        return Workspace(results=self.results, store=self.store, reports=self.reports, backend=backend)


@dataclass(frozen=True, kw_only=True)
class StudyOptions(StoreOptions):
    """How a study is loaded."""

    scale: Annotated[
        str | None,
        typer.Option(
            help="The scale of the study. Default: gpu if there is a GPU and such a scale, else cpu."
        ),
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Change a setting of the study, for example design.rounds=20. Can be repeated.",
        ),
    ] = None
    device: str = "auto"
    plant: str | None = None
    allow_commands: bool = False

    def load(self, study: str) -> StudyExperiment:
        """The study. From now on, the command knows the metrics that the study declares."""
        from harness.experiment import load

        experiment = load(
            study,
            scale=self.scale,
            settings=self.settings or (),
            device=self.device,
            workspace=self.workspace,
            plant=self.plant,
            allow_commands=self.allow_commands,
        )
        declare(experiment.records)
        return experiment


@dataclass(frozen=True, kw_only=True)
class StoredStudyOptions(StudyOptions):
    """For commands that read a run, which may have a planted bug."""

    plant: Annotated[
        str | None,
        typer.Option(metavar="INVARIANT/BUG", help="Plant this bug, to show that the study detects it."),
    ] = None
    run: RunId = None

    def stored(self, study: str | None, output: CommandOutput) -> Experiment:
        """The newest run of the study in its present form, or the run that `--run` names. From now on, the
        command knows the metrics that the study declares.
        """
        if self.run is None:
            if study is None:
                hint = "`harness list` shows the studies"
                raise InputError("a study is missing; or give a run with --run", hint=hint)
            return self.load(study)
        from harness.experiment.stored_runs import run_experiment

        if self.scale or self.settings or self.plant:
            raise InputError(
                "--run says the scale, the settings and the planted bug; leave these options out"
            )
        experiment = run_experiment(self.workspace, self.run, study)
        declare(experiment.records)
        if experiment.restored.note:
            output.note(experiment.restored.note)
        return experiment


@dataclass(frozen=True, kw_only=True)
class ReportOptions(StoredStudyOptions):
    """For commands that also write a report."""

    reports: ReportsFolder = Path("reports")


@dataclass(frozen=True, kw_only=True)
class FolderOptions(StoreOptions):
    """For commands that look at all folders that the harness writes to, and load no study."""

    reports: ReportsFolder = Path("reports")


@dataclass(frozen=True, kw_only=True)
class PairOptions(FolderOptions):
    """For the commands that compare two versions."""

    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class JudgeOptions(PairOptions):
    """For the command that judges two versions of a program, on any backend."""

    backend: BackendName = None
    profile: ProfileName = None


@dataclass(frozen=True, kw_only=True)
class RunOptions(ReportOptions):
    """For the commands that run a study."""

    run: str | None = None
    device: Device = "auto"
    backend: BackendName = None
    profile: ProfileName = None
    allow_commands: Annotated[
        bool,
        typer.Option("--allow-commands", help="Allow the study to run programs of its own: it is code."),
    ] = False


class CommandEnds(Exception):  # noqa: N818  nothing went wrong
    """A command has printed its answer, which its exit code tells as well."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A command that typer can parse: each parameter that is a group of options becomes these options.

    An error that a user can act on becomes one line and its exit code. Any other error says how to learn
    more.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            parameters += _options(groups[name])
        else:
            parameters.append(parameter.replace(annotation=hints[name]))

    @functools.wraps(function)
    def guarded(**values: Any) -> None:
        verbose, before, code = values.get("verbose", False), recorded_transactions(), 0
        try:
            _give_programs_a_home()
            with interruptible(), _with_plugins(values.get("plugin") or []):
                code = contextvars.copy_context().run(_code_of, function, _grouped(values, groups))
            flush_output()  # here a closed pipe can still be handled; at the interpreter's end it cannot
        except HarnessError as error:
            wrote = isinstance(error, StoreError) and recorded_transactions() > before
            failed = StoreLostError.exit_code if wrote else error.exit_code
            raise _exit(_all_problems(error), failed, verbose=verbose) from None
        except Interrupted as signal:
            message = f"interrupted by {signal.number.name}; run the same command again to continue"
            raise _exit(message, ExitCode.SIGNALLED + signal.number, verbose=verbose) from None
        except ReaderGone:
            raise typer.Exit(code) from None
        except Exception as error:  # noqa: BLE001  the last resort of every command: one line, exit 70
            what = message_line(f"{type(error).__name__}: {error}")
            message = f"{what}; this is a fault of the harness (-v shows where)"
            raise _exit(message, ExitCode.FAULT, verbose=verbose) from None
        if code:
            raise typer.Exit(code)

    guarded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    guarded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return guarded


def _grouped(values: dict[str, Any], groups: dict[str, Any]) -> dict[str, Any]:
    """The values of a command with each group of options as one object, and with `~` in paths replaced."""
    given = {name: expanded(one) if isinstance(one, Path) else one for name, one in values.items()}
    for name, group in groups.items():
        given[name] = group(**{option.name: given.pop(option.name) for option in _options(group)})
    return given


@contextlib.contextmanager
def _with_plugins(modules: list[str]) -> Iterator[None]:
    """In this context, the modules are plug-ins. Those that cannot be imported are named, and left out."""
    with using(modules):
        if modules:
            for name, reason in load_plugins().items():
                if name in modules:
                    write_note(f"the plug-in {name} is refused: {reason}\n")
        yield


def _code_of(function: Callable[..., None], values: dict[str, Any]) -> int:
    """Run a command, and return the code with which its answer ends it."""
    try:
        function(**values)
    except CommandEnds as end:
        return end.code
    return 0


def _options(group: Any) -> Iterator[inspect.Parameter]:
    """The fields of a group that typer annotations describe."""
    for name, hint in get_type_hints(group, include_extras=True).items():
        if hasattr(hint, "__metadata__"):
            kind, default = inspect.Parameter.KEYWORD_ONLY, getattr(group, name)
            yield inspect.Parameter(name, kind, annotation=hint, default=default)


def _give_programs_a_home() -> None:
    """Matplotlib and torch's compiler, here and in workers, keep files in the home of the user."""
    if not home_is_writable():
        from harness.data.cache import tool_caches

        os.environ.update({**tool_caches(), **os.environ})


def seconds_option(written: str, option: str) -> float:
    """The seconds that an option gives as `90s` or `30m`. Raises InputError if it is no time."""
    from harness.study.quantities import seconds_of

    try:
        return seconds_of(written)
    except ValueError as error:
        raise InputError(str(error), at=Location(f"{option} {written}")) from None


def exit_with(error: HarnessError, *, verbose: bool = False) -> typer.Exit:
    """Print the error, and return what ends the command with its exit code."""
    return _exit(_all_problems(error), error.exit_code, verbose=verbose)


def _all_problems(error: HarnessError) -> str:
    """The error, and a line for each other problem of the same study."""
    others = error.others if isinstance(error, StudyError) else ()
    lines = [*others[:MOST_OTHERS], *(["…"] if len(others) > MOST_OTHERS else [])]
    return "\n  ".join([str(error), *lines])


def show_usage_error(error: Any) -> int:
    """Print an error in the arguments of a command as click does, but safely, and return its exit code."""
    shown = io.StringIO()
    error.show(file=shown)
    write_note("".join(f"{message_line(line)}\n" for line in shown.getvalue().splitlines()))
    return int(error.exit_code)


def _exit(message: str, code: int, *, verbose: bool = False) -> typer.Exit:
    if verbose:
        write_note(visible(masked(traceback.format_exc()), keep="\n"))
    prefix = "\x1b[31merror:\x1b[0m" if has_colours(sys.stderr) else "error:"
    write_note(f"{prefix} {message}\n")
    return typer.Exit(code)
