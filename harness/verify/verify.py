"""Verification: everything that a report says is computed again from the store and compared."""

from __future__ import annotations

import contextlib
import html
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from harness.errors import InputError, Location, StoreError
from harness.experiment.restore_study import (
    RestoredStudies,
    as_judged,
    declared_by,
    restore_studies,
    study_and_settings,
)
from harness.metrics import declared
from harness.report.build import render
from harness.report.index import INDEX_MARK, render_index
from harness.report.index_source import index_input
from harness.report.source import report_input, with_search
from harness.store.changes import changes
from harness.store.rows import Chain, Run
from harness.store.store import Store, open_store
from harness.verify.html_pieces import Piece, PieceKind, count_numbers, pieces
from harness.verify.restore_search import restore_search, search_options
from harness.wording import count

_RUN = re.compile(r'<th scope="row">run</th><td>([^<]*)</td>')
_STUDY = re.compile(r'<th scope="row">judged as study</th><td>([^<]*)</td>')
_SEARCH = re.compile(r'<th scope="row">search run</th><td>([^<]*)</td>')
_CHAIN = re.compile(r'<th scope="row">(?:search )?chain</th><td>([0-9a-f]{16})\b[^<]*</td>')
_UNTIL = re.compile(r'<th scope="row">history until</th><td>judgement (\d+), declaration (\d+)</td>')
_COMMAND = re.compile(r'<pre class="command"><code>([^<]*)</code>')
_ORDER: tuple[PieceKind, ...] = ("text", "markup", "style")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What the page says, and what the store gives instead. Either is empty if there is no such piece.

    `where` describes the position in the page.
    """

    where: str
    reported: str
    recomputed: str


@dataclass(frozen=True, kw_only=True)
class Verification:
    """`runs` are those of the page; that of a search comes after that of its proof. `chains` holds the head
    of each run's chain in the store, or None. `problems` say what in the store was changed after it was
    written. `numbers` counts the numbers in the text of the page; `notes` say what could not be checked.
    """

    runs: tuple[str, ...]
    chains: tuple[str | None, ...]
    problems: tuple[str, ...]
    numbers: int
    difference: Difference | None
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Recomputed:
    """What the store says about the runs of a report, and the page that it gives for them."""

    page: str
    runs: tuple[str, ...]
    chains: tuple[Chain, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    wrong_command: Difference | None


def verify(report: Path, location: str) -> Verification:
    """Render the report again from the store at `location`, and compare the two pages.

    Raises InputError if the file is not a report, and StoreError if the store does not have its run.
    """
    page = _read(report)
    if INDEX_MARK in page:
        return _verify_index(page, report, location)
    return compare(page, recompute(page, report, location))


def _verify_index(page: str, file: Path, location: str) -> Verification:
    """The page about all studies beside the page that the store gives."""
    with open_store(location) as store:
        again = render_index(index_input(store, file.parent))
    return Verification(
        runs=(),
        chains=(),
        problems=(),
        numbers=count_numbers(page),
        difference=None if page == again else first_difference(pieces(page), pieces(again)),
        notes=("only verdicts are compared here; verify each report to compute them again",),
    )


def recompute(page: str, report: Path, location: str) -> Recomputed:
    """The page that the store gives for the runs that this page names, in the file `report`."""
    runs, searches = tuple(dict.fromkeys(_RUN.findall(page))), tuple(_SEARCH.findall(page))
    command = _COMMAND.search(page)
    if not runs or command is None:
        raise InputError(
            "this file is not a report of the harness",
            at=Location(str(report)),
            hint="give an HTML file from the folder of reports",
        )
    words = _words(html.unescape(command[1]))
    with contextlib.ExitStack() as context:
        store = context.enter_context(open_store(location))
        known = {run.id: run for run in store.runs()}
        missing = [run for run in (*runs, *searches) if run not in known]
        if missing:
            raise StoreError(
                f"this store does not have the run {missing[0]}",
                at=Location(location),
                hint="give the store of the report with --store",
            )
        judged_as = dict(zip(_RUN.findall(page), _STUDY.findall(page), strict=False))
        judged = [as_judged(store, known[run], judged_as.get(run)) for run in runs]
        context.enter_context(declared(declared_by(judged)))
        until = dict(zip(_RUN.findall(page), _UNTIL.findall(page), strict=False))
        ends = [_numbers(until.get(run, ("0", "0"))) for run in runs]
        if searches:
            studies = restore_search(store, known[searches[0]], judged[0], words)
        else:
            studies = restore_studies(store, judged, *study_and_settings(words))
        inputs = [
            report_input(store, part, known[run], end)
            for part, run, end in zip(studies.parts, runs, ends, strict=True)
        ]
        if searches:
            options = search_options(words)
            inputs = [with_search(store, inputs[0], (known[searches[0]], known[runs[0]]), options)]
        chains = tuple(one.run.chain for one in inputs)
        chains += tuple(one.search.chain for one in inputs if one.search is not None)
        problems, notes = _changes(store, [known[run] for run in (*runs, *searches)], chains)
        return Recomputed(
            page=render(*inputs),
            runs=(*runs, *searches),
            chains=chains,
            problems=problems,
            notes=(*notes, *studies.notes),
            wrong_command=_wrong_command(studies, words),
        )


def compare(page: str, again: Recomputed) -> Verification:
    """The page of the report beside the page that the store gives. Text is compared first (sentences, cells,
    badges, labels of figures), then attributes (every coordinate and the samples to download), then the style
    sheet.
    """
    return Verification(
        runs=again.runs,
        chains=tuple(chain.head for chain in again.chains),
        problems=again.problems,
        numbers=count_numbers(page),
        difference=_other_head(page, again.chains)
        or (None if page == again.page else first_difference(pieces(page), pieces(again.page)))
        or again.wrong_command,
        notes=again.notes,
    )


def _changes(
    store: Store, runs: Sequence[Run], chains: Sequence[Chain]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was changed in the store after it was written, and what cannot be said about it."""
    problems: list[str] = []
    notes: list[str] = []
    for run, chain in zip(runs, chains, strict=True):
        changed, unknown = changes(store, run, chain)
        problems += changed
        notes += unknown
    return tuple(problems), tuple(notes)


def _other_head(page: str, chains: Sequence[Chain]) -> Difference | None:
    """A chain whose head in the report is not its head in the store."""
    heads = _CHAIN.findall(page)
    if len(heads) != len(chains):
        return None  # a report of an earlier version, or a run in which no attempt has ended
    for reported, chain in zip(heads, chains, strict=True):
        if reported != chain.head:
            later = len(chain.digests) - 1 - chain.digests.index(reported) if reported in chain.digests else 0
            grown = f", after {count(later, 'more link')}" if later else ""
            return Difference(
                where="the head of the chain",
                reported=reported,
                recomputed=f"{chain.head or 'nothing'}{grown}",
            )
    return None


def _numbers(texts: tuple[str, str]) -> tuple[int, int]:
    return int(texts[0]), int(texts[1])


def first_difference(reported: Sequence[Piece], recomputed: Sequence[Piece]) -> Difference | None:
    """The first difference in the text, or else in the markup, or else in the style."""
    for kind in _ORDER:
        sides = ([piece for piece in page if piece.kind == kind] for page in (reported, recomputed))
        for ours, again in zip_longest(*sides):
            if ours is None or again is None or ours.content != again.content:
                either = again or ours
                return Difference(
                    where=either.where if either else "",
                    reported=ours.content if ours else "",
                    recomputed=again.content if again else "",
                )
    return None


def _read(report: Path) -> str:
    try:
        return report.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read the report: {error.strerror}", at=Location(str(report))) from error
    except UnicodeDecodeError as error:
        raise InputError(
            "this file is not a report of the harness: it is not UTF-8", at=Location(str(report))
        ) from error


def _words(command: str) -> list[str]:
    """The words of the command that repeats the run."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _wrong_command(studies: RestoredStudies, words: Sequence[str]) -> Difference | None:
    if studies.command_problem is None:
        return None
    return Difference(
        where="the command that repeats the run",
        reported=" ".join((*study_and_settings(words)[1], *search_options(words))) or "no settings",
        recomputed=studies.command_problem,
    )
