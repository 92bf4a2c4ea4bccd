"""Task `command`: one run of a program that is not part of the harness."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from harness.config import FROM_LIST, MEASUREMENT
from harness.data.reference import CorpusRef
from harness.errors import InputError, did_you_mean
from harness.programs.command_line import filled, is_name, lone_brace, settings_in
from harness.programs.outputs import AnyOutput, Value
from harness.programs.outputs.base import ProgramOutputError
from harness.programs.program import Ended, find_program, run_program, with_output
from harness.programs.variables import RESERVED, program_variables, python_path
from harness.tasks.base import Context, Result, SampleRecorder, Task
from harness.tasks.work import Work

SEED, PYTHON = "seed", "python"
"""Names in a command line that are no settings: the seed of the trial, and the Python of the harness."""

LAST_STEP = 2**63 - 1


def _passable(word: str) -> str:
    if (brace := lone_brace(word)) is not None:
        raise ValueError(f"the brace of {brace[:20]!r} belongs to no setting; write two for a plain one")
    return word


def _free(variable: str) -> str:
    if variable in RESERVED:
        raise ValueError(f"the harness itself gives {variable} to a program")
    return variable


Word = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_passable)]
Variable = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200), AfterValidator(_free)
]
Setting = bool | int | float | str | None


class Command(Task):
    """Runs a program, which is a list of words. `{name}` in a word stands for the setting of that name, which
    stands beside `command`; `{seed}` stands for the seed of the trial.

    Each trial is a new process in a new folder with a copy of the files of `source`, the digest of a folder
    that the study names (`harness.programs.source_tree`). The program gets the variables `environment` and
    those of the user that are on a list or in `inherit`. It is ended after `timeout` seconds. `values` says
    where it writes each metric that the study declares.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)
    __pydantic_extra__: dict[str, Setting]

    name: ClassVar[str] = "command"
    needs_torch: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("command_seconds", "gpu_energy_joules", "cpu_energy_joules")

    command: Annotated[tuple[Word, ...], FROM_LIST, Field(min_length=1, max_length=1000)]
    """The program, as a list of words. `{name}` stands for a setting beside `command`, and `{seed}` for the
    seed of the trial.
    """

    source: str
    """The folder with the files of the program. Every trial gets a copy of it."""

    environment: dict[Variable, Word] = Field(default_factory=dict)
    """Variables that the program gets, by their names."""

    inherit: Annotated[tuple[Variable, ...], FROM_LIST] = ()
    """Names of variables of the user that the program gets too."""

    timeout: Annotated[float | None, MEASUREMENT] = Field(default=None, gt=0, allow_inf_nan=False)
    """The seconds after which the program is ended."""

    values: dict[str, AnyOutput] = Field(default_factory=dict)
    """Where the program writes each metric that the study declares."""

    @property
    def settings(self) -> dict[str, Setting]:
        """The settings that the study invented for this program."""
        return dict(self.__pydantic_extra__)

    @property
    def _words(self) -> tuple[str, ...]:
        return (*self.command, *self.environment.values())

    @property
    def uses_the_seed(self) -> bool:
        """Whether the program is given its seed in a word or in a variable that the study names."""
        return SEED in settings_in(self._words)

    def corpora(self) -> tuple[CorpusRef, ...]:
        return ()

    def flops(self) -> float:
        return 0.0

    def time_limit(self) -> float | None:
        return self.timeout

    def expected_work(self) -> Work:
        return {}

    def effect(self) -> dict[str, Any]:
        """The command as the program gets it: settings that are written alike are the same to it."""
        same = {**self.settings, SEED: f"\0{SEED}", PYTHON: f"\0{PYTHON}"}  # no study can write these
        others = {name: value for name, value in self.plain().items() if name not in self.settings}
        return {
            **others,
            "command": [filled(word, same) for word in self.command],
            "environment": {name: filled(text, same) for name, text in self.environment.items()},
        }

    @property
    def program(self) -> str:
        """The program itself: a name, the absolute path of a file, or its path among the files of the source
        if there is a slash in it.
        """
        return self._filled(self.command[0], seed=0)

    def check_installed(self) -> None:
        if "/" not in self.program or Path(self.program).is_absolute():
            path = self.environment.get("PATH")
            find_program(self.program, Path(), None if path is None else self._filled(path, seed=0))

    def run(self, context: Context, record: SampleRecorder) -> Result:
        folder, temporary = context.folder / "files", context.folder / "temporary"
        context.folder.mkdir()
        shutil.copytree(context.sources / self.source, folder, symlinks=True)
        temporary.mkdir()
        variables = program_variables(
            given={name: self._filled(text, context.seed) for name, text in self.environment.items()},
            inherited=self.inherit,
            seed=context.seed,
            threads=context.threads,
            temporary=temporary,
        )
        variables["PYTHONPATH"] = python_path(folder, variables.get("PYTHONPATH"))
        words = [self._filled(word, context.seed) for word in self.command]
        ended = run_program(words, folder=folder, variables=variables)
        self._record(ended, record)
        record("command_seconds", ended.seconds)
        return Result()

    def _filled(self, word: str, seed: int) -> str:
        return filled(word, {**self.settings, SEED: seed, PYTHON: sys.executable})

    def _record(self, ended: Ended, record: SampleRecorder) -> None:
        """Raises ProgramOutputError if a metric has no value, or if its steps do not increase."""
        try:
            for metric, output in self.values.items():
                _record_values(metric, output.values(metric, ended.printed), record)
        except ProgramOutputError as error:
            raise with_output(error, ended.last) from None


def _record_values(metric: str, values: Iterable[Value], record: SampleRecorder) -> None:
    last = -1
    for value in values:
        step = last + 1 if value.step is None else value.step
        if step <= last:
            raise ProgramOutputError(
                f"{metric} has a value at step {step} after one at step {last}; steps must increase"
            )
        if step > LAST_STEP:
            raise ProgramOutputError(f"{metric} has a value at step {step}, which is too large")
        record(metric, value.value, step)
        last = step
    if last < 0:
        raise ProgramOutputError(f"the program ended without an error, but with no value of {metric}")


def wrong_setting(task: Command) -> tuple[tuple[str | int, ...], str] | None:
    """Where in the settings of a task something is wrong, and what: a name that cannot stand in braces, a
    setting that the command does not use, or one that it mentions and that does not exist.
    """
    words: dict[tuple[str | int, ...], str] = {
        **{("command", index): word for index, word in enumerate(task.command)},
        **{("environment", name): text for name, text in task.environment.items()},
    }
    for name in task.settings:
        if name in (SEED, PYTHON):
            return (name,), f"{{{name}}} has a meaning already, so no setting can have this name"
        if not is_name(name):
            return (name,), f"{name!r} cannot stand in braces; use letters, digits and underscores"
    known = {*task.settings, SEED, PYTHON}
    for path, word in words.items():
        for name in sorted(settings_in([word]) - known):
            hint = did_you_mean(name, known)
            return path, f"there is no setting {name!r} for {{{name}}}" + (f"; {hint}" if hint else "")
    for name in sorted(task.settings.keys() - settings_in(words.values())):
        return (name,), (
            f"the command does not use the setting {name!r}, so it would change nothing; "
            f"write {{{name}}} into `command` or into `environment`"
        )
    return None


def check_seeds(task: Command, seeds: int) -> None:
    """Raises InputError if a program that is given no seed is to run with several: its values would be
    repetitions, and not the scatter between seeds.
    """
    if seeds > 1 and not task.uses_the_seed:
        raise InputError(
            "the program is not given its seed, so several seeds would be the same run again",
            hint="write {seed} into `command` or `environment`, or use `rounds`",
        )
