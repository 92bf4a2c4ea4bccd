"""Every number of a report computed again from the store, and the first that differs."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path

from harness.errors import InputError, Location, StoreError
from harness.report.build import render
from harness.report.source import report_input
from harness.store.store import open_store
from harness.verify.html_pieces import Kind, Piece, pieces
from harness.verify.restore_study import Studies, studies_of

_RUN = re.compile(r'<th scope="row">run</th><td>([^<]*)</td>')
_COMMAND = re.compile(r'<pre class="command"><code>([^<]*)</code>')
_ORDER: tuple[Kind, ...] = ("text", "markup", "style")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """`reported` is what the page says at `place`, `recomputed` what the store gives; empty where one of them
    says nothing.
    """

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

    Text comes first, whatever it is in (a sentence, a cell, a badge, a drawing's label), then attributes,
    among them every coordinate and the samples to download, then the style sheet. Raises InputError where the
    file is no report, StoreError where the store lacks its run.
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
        studies = studies_of(store, [known[run] for run in runs], path, settings)
        inputs = [
            report_input(store, part, known[run]) for part, run in zip(studies.parts, runs, strict=True)
        ]
        again = render(*inputs)
    reported = pieces(page)
    return Verification(
        runs=runs,
        numbers=sum(piece.numbers for piece in reported),
        difference=first_difference(reported, pieces(again)) or _misleading(studies, settings),
        notes=studies.notes,
    )


def first_difference(reported: Sequence[Piece], recomputed: Sequence[Piece]) -> Difference | None:
    """The first piece of text that differs, else of markup, else of style."""
    for kind in _ORDER:
        sides = ([piece for piece in page if piece.kind == kind] for page in (reported, recomputed))
        for said, given in zip_longest(*sides):
            if said is None or given is None or said.said != given.said:
                there = given or said
                return Difference(
                    place=there.place if there else "",
                    reported=said.said if said else "",
                    recomputed=given.said if given else "",
                )
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


def _misleading(studies: Studies, settings: tuple[str, ...]) -> Difference | None:
    if studies.command_leads_to is None:
        return None
    told = " ".join(settings) or "no settings"
    return Difference(
        place="the command that repeats the run", reported=told, recomputed=studies.command_leads_to
    )
