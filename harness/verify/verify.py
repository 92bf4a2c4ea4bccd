"""Every number of a report computed again from the store, and the first that differs."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import canonical_json
from harness.errors import HarnessError, InputError, Location, StoreError
from harness.report.build import render
from harness.report.source import report_input
from harness.store.store import open_store
from harness.study.arms import arms, conditions
from harness.study.load import LoadedStudy, load_study
from harness.study.schema import Study
from harness.study.trial import TrialSpec
from harness.tasks.registry import task_class
from harness.verify.page import Kind, Piece, pieces

if TYPE_CHECKING:
    from harness.store.rows import Run
    from harness.store.store import Store

_RUN = re.compile(r'<th scope="row">run</th><td>([^<]*)</td>')
_COMMAND = re.compile(r'<pre class="command"><code>([^<]*)</code>')
_ORDER: tuple[Kind, ...] = ("text", "markup", "style")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """`reported` is what the page says at `place`, `recomputed` what the store gives; empty where one of them says nothing."""

    place: str
    reported: str
    recomputed: str


@dataclass(frozen=True, kw_only=True)
class Verification:
    """`numbers` counts those in the page's text; `notes` say what could not be checked."""

    runs: tuple[str, ...]
    numbers: int
    difference: Difference | None
    notes: tuple[str, ...]


def verify(report: Path, location: str) -> Verification:
    """Render the report's runs again from the store at `location`, and compare all that the two pages say.

    Text comes first, whatever it is in (a sentence, a cell, a badge, a drawing's label), then attributes, among them every
    coordinate and the samples to download, then the style sheet. Raises InputError where the file is no report, StoreError
    where the store lacks its run.
    """
    page = _read(report)
    runs = tuple(dict.fromkeys(_RUN.findall(page)))
    command = _COMMAND.search(page)
    if not runs or command is None:
        raise InputError(
            "no report of the harness", at=Location(str(report)), hint="name an HTML file of reports/"
        )
    path, settings = _written(html.unescape(command[1]))
    with open_store(location) as store:
        known = {run.id: run for run in store.runs()}
        lacking = [run for run in runs if run not in known]
        if lacking:
            raise StoreError(
                f"no run {lacking[0]} in this store",
                at=Location(location),
                hint="name its store with --store",
            )
        parts = tuple(_restored(store, known[run], path, settings) for run in runs)
        inputs = [report_input(store, part, known[run]) for part, run in zip(parts, runs, strict=True)]
        again = render(*inputs)
    reported = pieces(page)
    problem, notes = _command_problem(parts)
    return Verification(
        runs=runs,
        numbers=sum(piece.numbers for piece in reported),
        difference=first_difference(reported, pieces(again)) or problem,
        notes=notes,
    )


def first_difference(reported: Sequence[Piece], recomputed: Sequence[Piece]) -> Difference | None:
    """The first piece of text that differs, else of markup, else of style."""
    for kind in _ORDER:
        sides = ([piece for piece in page if piece.kind == kind] for page in (reported, recomputed))
        for said, given in zip_longest(*sides):
            if said is None or given is None or said.said != given.said:
                there = given or said
                return Difference(
                    place=there.place if there else "", reported=said.said if said else "", recomputed=given.said if given else ""
                )  # fmt: skip
    return None


def _read(report: Path) -> str:
    try:
        return report.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", at=Location(str(report))) from error
    except UnicodeDecodeError as error:
        raise InputError("no report of the harness: not UTF-8", at=Location(str(report))) from error


def _written(command: str) -> tuple[Path, tuple[str, ...]]:
    """The study's file and the settings on the command that repeats the run."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    path = Path(words[2]) if len(words) > 2 else Path()
    return path, tuple(word for flag, word in pairwise(words) if flag == "--set")


def _restored(store: Store, run: Run, path: Path, settings: tuple[str, ...]) -> LoadedStudy:
    """The study as it was when the run was made, whatever its file says now: its tasks are those of the planned trials."""
    study = Study.model_validate_json(run.study_json)
    specs = [
        TrialSpec.model_validate_json(row.spec_json) for row in store.planned(run) if row.purpose == "measure"
    ]
    both = arms(study), conditions(study)
    names = {canonical_json(condition.names): condition.name for condition in both[1]}
    tasks = {(spec.arm, names[spec.condition_key]): task_class(spec.task).read(spec.config) for spec in specs}
    return LoadedStudy(
        path=path, source=run.study_source, scale=run.scale, study=study, arms=both[0], conditions=both[1],
        tasks=tasks, settings=settings,
    )  # fmt: skip


def _command_problem(parts: tuple[LoadedStudy, ...]) -> tuple[Difference | None, tuple[str, ...]]:
    """Whether the command leads to the study that was run, which only the study's own file can tell, with its recipes."""
    first, place = parts[0], "the command that repeats the run"
    try:
        same_file = first.path.read_text(encoding="utf-8") == first.source
    except (OSError, UnicodeDecodeError):
        same_file = False
    if not same_file:
        return None, (f"{first.path} is not here as it was, so the settings of the command were not checked",)
    told = " ".join(first.settings) or "no settings"
    try:
        found = load_study(first.path, first.scale, first.settings)
    except HarnessError as error:
        return Difference(place=place, reported=told, recomputed=str(error)), ()
    if [part.study for part in found] == [part.study for part in parts]:
        return None, ()
    return Difference(place=place, reported=told, recomputed="another study than the one that was run"), ()
