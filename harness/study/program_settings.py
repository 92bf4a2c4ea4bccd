"""What the files of a study decide about the programs that it runs: which files a program is, and where it
writes each metric that the study declares.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.config import Config
from harness.errors import InputError
from harness.paths import expanded
from harness.programs.source_tree import SourceTree
from harness.study.reading.yaml_document import Located
from harness.study.schema import StudyBase
from harness.tasks.base import Task
from harness.tasks.command import Command, check_seeds, wrong_setting

STUDIES = "studies"


def project_folder(study: Path) -> Path:
    """The folder that a study's file belongs to: its own, or the one above if its own is called `studies`."""
    folder = study.absolute().parent
    return folder.parent if folder.name == STUDIES else folder


class ProgramFiles(Config):
    """The files of a program, as a study names them."""

    folder: str = "."
    """The folder with the files of the program, relative to the folder of the study, or to the one above if
    the study lies in `studies/`.
    """

    files: tuple[str, ...] = ()
    """Patterns of the files that belong to the program, for example `*.py`. Default: all
    files that Git tracks, and the others that it does not ignore.
    """


class ProgramSettings:
    """Fills in the settings of the task `command`. In the file, `folder` names the folder of the program,
    relative to that of the project, and `files` its patterns. `trees` are the files that were read so far.
    """

    def __init__(self, study: Path) -> None:
        self._project = project_folder(study)
        self._read: dict[tuple[str, tuple[str, ...]], SourceTree] = {}
        self.trees: dict[str, SourceTree] = {}

    def filled(self, study: StudyBase, settings: Located) -> Located:
        """The settings with the digest of the files and with the outputs of the metrics.

        Raises StudyError if there is no such folder, or if `files` are no patterns.
        """
        for name in ("source", "values"):
            if name in settings.data:
                raise settings.error(
                    (name,), f"{name} is no setting", hint="`folder` names the files of a program"
                )
        tree = self._tree(settings)
        self.trees[tree.digest] = tree
        at = settings.location(("folder",))
        filling = {
            "source": tree.digest,
            "values": {name: declared.output.plain() for name, declared in study.metrics.items()},
        }
        settings = settings.without(("folder",), ("files",))
        for name, value in filling.items():
            settings = settings.replaced((name,), Located(value, {(): at}, {(): at}), key=at)  # type: ignore[arg-type]
        return settings

    def _tree(self, settings: Located) -> SourceTree:
        folder, patterns = settings.data.get("folder", ProgramFiles().folder), settings.data.get("files", [])
        if not isinstance(folder, str):
            raise settings.error(("folder",), "folder must be the path of a folder", value=True)
        if not isinstance(patterns, list) or not all(isinstance(one, str) for one in patterns):
            raise settings.error(
                ("files",), 'files must be a list of patterns, for example ["*.py"]', value=True
            )
        key = folder, tuple(patterns)
        if key not in self._read:
            try:
                self._read[key] = SourceTree.read(self._project / expanded(folder), patterns)
            except InputError as error:
                key_of_error = ("files",) if patterns else ("folder",)
                raise settings.error(key_of_error, error.message, hint=error.hint, value=True) from None
        return self._read[key]

    def check(self, task: Task, study: StudyBase, settings: Located) -> None:
        """Raises StudyError if a setting of a program is wrong, if the program is not among its files, or if
        the seeds of the study would be repetitions of one run.
        """
        if not isinstance(task, Command):
            return
        if wrong := wrong_setting(task):
            raise settings.error(*wrong)
        program = task.program
        is_ours = "/" in program and not Path(program).is_absolute()
        if is_ours and not self.trees[task.source].has_program(program):
            raise settings.error(
                ("command",), f"{program} is not a program among the files", hint="is it executable?"
            )
        try:
            check_seeds(task, study.design.seeds)
        except InputError as error:
            raise settings.error(("command",), error.message, hint=error.hint) from None

    def files_of(self, tasks: Iterable[Task]) -> dict[str, SourceTree]:
        """The files of the programs that these tasks run, by their digests."""
        return {task.source: self.trees[task.source] for task in tasks if isinstance(task, Command)}


def runs_programs(task: type[Config]) -> bool:
    """Whether trials of this task run a program."""
    return issubclass(task, Command)
