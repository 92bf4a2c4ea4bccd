"""Task `command`: one run of a program that is not part of the harness."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from harness.config import FROM_LIST, MEASUREMENT
from harness.data.reference import CorpusRef
from harness.errors import InputError
from harness.programs.command_line import filled, settings_in
from harness.programs.outputs import AnyOutput, Printed
from harness.programs.outputs.base import ProgramOutputError
from harness.programs.program import find_program, run_program
from harness.programs.variables import program_variables, python_path
from harness.tasks.base import Context, Result, SampleRecorder, Task
from harness.tasks.work import Work

SEED, PYTHON = "seed", "python"
"""Names in a command line that are no settings: the seed of the trial, and the Python of the harness."""

Word = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
Setting = bool | int | float | str | None


class Command(Task):
    """A program, as a list of words. `{name}` in a word stands for the setting of that name, which stands
    beside `command`; `{seed}` stands for the seed of the trial.

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
    source: str
    environment: dict[Variable, str] = Field(default_factory=dict)
    inherit: Annotated[tuple[Variable, ...], FROM_LIST] = ()
    timeout: Annotated[float | None, MEASUREMENT] = Field(default=None, gt=0, allow_inf_nan=False)
    values: dict[str, AnyOutput] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _settings_are_known(self) -> Command:
        known = {*self.settings, SEED, PYTHON}
        unknown = sorted(settings_in(self._words) - known)
        if unknown:
            raise ValueError(
                f"the command has {{{unknown[0]}}}, and there is no setting of this name; "
                f"the settings are {', '.join(sorted(known))}"
            )
        unused = sorted(self.settings.keys() - settings_in(self._words))
        if unused:
            raise ValueError(
                f"the command does not use the setting {unused[0]!r}, so it would change nothing; "
                f"write {{{unused[0]}}} into `command` or into `environment`"
            )
        return self

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

    def check_installed(self) -> None:
        if "/" not in self.command[0]:
            find_program(self._filled(self.command[0], seed=0), Path())

    def run(self, context: Context, record: SampleRecorder) -> Result:
        folder, temporary = context.folder / "files", context.folder / "temporary"
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
        self._record(ended.printed, record)
        record("command_seconds", ended.seconds)
        return Result(notes={"program": find_program(words[0], folder)})

    def _filled(self, word: str, seed: int) -> str:
        return filled(word, {**self.settings, SEED: seed, PYTHON: sys.executable})

    def _record(self, printed: Printed, record: SampleRecorder) -> None:
        """Raises ProgramOutputError if a metric has no value, or if its steps do not increase."""
        for metric, output in self.values.items():
            last = -1
            for value in output.values(metric, printed):
                step = last + 1 if value.step is None else value.step
                if step <= last:
                    raise ProgramOutputError(
                        f"{metric} has a value at step {step} after one at step {last}; steps must increase"
                    )
                record(metric, value.value, step)
                last = step
            if last < 0:
                raise ProgramOutputError(f"the program ended without an error, but with no value of {metric}")


def check_seeds(task: Command, seeds: int) -> None:
    """Raises InputError if a program that is given no seed is to run with several: its values would be
    repetitions, and not the scatter between seeds.
    """
    if seeds > 1 and not task.uses_the_seed:
        raise InputError(
            "the program is not given its seed, so several seeds would be the same run again",
            hint="write {seed} into `command` or `environment`, or use `rounds`",
        )
