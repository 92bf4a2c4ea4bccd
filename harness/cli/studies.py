"""`harness list` and `harness new`: list the studies, and write a new one to start from."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.console import CommandOutput
from harness.errors import HarnessError, InputError, did_you_mean
from harness.experiment import Workspace
from harness.study.load import StudyFile
from harness.study.program_settings import project_folder
from harness.study.shipped import OWN_STUDIES, SHIPPED, studies_in

if TYPE_CHECKING:
    from harness.store.rows import Run


def show_studies(folder: Path | None, workspace: Workspace, output: CommandOutput) -> None:
    """One line per study: its question, scales and newest run, or the reason why it cannot be read.

    Without a folder, the studies are those in `studies/`, or those that ship with the harness if there are
    none. Raises InputError if the folder does not exist.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(f"there is no folder {folder}", hint="`harness list` shows the studies that ship")
    studies = studies_in(OWN_STUDIES if folder is None else folder)
    if folder is None and not studies:
        studies = studies_in(SHIPPED)
        output.note(
            f"there are no studies in {OWN_STUDIES}/; these ship with the harness: `harness run NAME` runs "
            f"one, {SHIPPED} has their files, and `harness new NAME` writes one to start from"
        )
    newest, planted = _newest_runs(workspace)
    rows = []
    for name, path in studies.items():
        row: dict[str, Any] = {
            "study": name,
            "question": None,
            "scales": None,
            "newest_run": _short(newest.get(name)),
            "planted_run": _short(planted.get(name)),
            "problem": None,
        }
        try:
            file = StudyFile(path)
            row["scales"] = list(file.scales)
            row["question"] = file.load()[0].study.question
        except HarnessError as error:
            row["problem"] = str(error)
        rows.append(row)
    optional = [name for name in ("planted_run", "problem") if any(row[name] for row in rows)]
    output.table(rows, ["study", "question", "scales", "newest_run", *optional])


def _newest_runs(workspace: Workspace) -> tuple[dict[str, Run], dict[str, Run]]:
    """The newest run of each study, and the newest one with a planted bug, which is no result of it."""
    from harness.store.store import open_store

    if not workspace.has_store():
        return {}, {}
    with open_store(workspace.location) as store:
        runs = store.runs()  # the oldest first
    by_name = [(run.study.partition("/")[0], run) for run in runs]
    return (
        {name: run for name, run in by_name if run.plant is None},
        {name: run for name, run in by_name if run.plant is not None},
    )


def _short(run: Run | None) -> str | None:
    if run is None:
        return None
    return " ".join(filter(None, (run.created_at[:16], run.scale, run.plant)))


def new_study(name: str, task: str, folder: Path | None, output: CommandOutput) -> None:
    """Write `folder/NAME.yaml`, a commented study of a task, and the recipe and the program that it names if
    they do not exist. No file is overwritten.

    Raises InputError if the name is not allowed, if the study exists, or if there is no such task.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise InputError(
            f"{name!r} is not allowed as the name of a study",
            hint="start with a small letter and use small letters, digits and underscores, as in my_study",
        )
    source, folder = files("harness.study") / "template", folder or OWN_STUDIES
    template = source / f"{task}.yaml"
    if not template.is_file():
        known = [file.name.removesuffix(".yaml") for file in source.iterdir() if file.is_file()]
        raise InputError(f"there is no study to start from for task {task!r}", hint=did_you_mean(task, known))
    text = template.read_text(encoding="utf-8").replace("NAME", name)
    study = folder / f"{name}.yaml"
    if study.exists():
        raise InputError(f"{study} already exists", hint="choose another name")
    _write(study, text)
    recipes = {f"{name}.yaml": folder / "recipes" for name in re.findall(r"\{recipe: ([a-z-]+)\}", text)}
    programs = {f"{name}.txt": project_folder(study) / "programs" for name in re.findall(r"\w+\.py", text)}
    for file, target in {**recipes, **programs}.items():
        path = target / file.removesuffix(".txt")
        if not path.exists():
            _write(path, (source / target.name / file).read_text(encoding="utf-8"))
    output.line(str(study))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", hint="choose another folder") from error
