"""`harness claims`: every claim of every study in the store with its verdict, printed or written into a
file as a Markdown table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from harness.cli.console import CommandOutput
from harness.cli.tables import markdown_cell
from harness.errors import InputError
from harness.experiment import Workspace
from harness.report.claims_ledger import Ledger, LedgerEntry, read_ledger
from harness.store.store import open_store
from harness.study.sources import citation

COLUMNS = (
    "source",
    "claim",
    "study",
    "claimed",
    "ours",
    "interval",
    "n",
    "verdict",
    "judged",
    "scale",
    "device",
    "date",
)
BEGIN, END = "<!-- claims: written by `harness claims --into` -->", "<!-- end of claims -->"
_HEADS = ("study", "claim", "source", "what it says", "claimed", "here", "interval", "n", "verdict")


def show_claims(workspace: Workspace, output: CommandOutput) -> None:
    """The ledger as a table, or as JSON with the fields of `harness.report.claims_ledger.Ledger`."""
    ledger = _read_ledger(workspace)
    if output.json:
        output.data(asdict(ledger))
        return
    rows = [{**asdict(e), "source": citation(e.source), "date": e.date[:10]} for e in ledger.claims]
    output.table(rows, COLUMNS)
    for entry in ledger.claims:
        if entry.earlier:
            output.line(f"{entry.study}, {entry.claim}, earlier verdicts: {'; '.join(entry.earlier)}")
    for study in ledger.unjudged:
        output.note(f"the newest run of {study} has no verdicts yet; `harness report {study}` computes them")


def write_claims(workspace: Workspace, file: Path, output: CommandOutput) -> None:
    """Write the claims as a table between the two markers of a file. The same store gives the same file.

    If a study also ran at another scale, its runs at scale `smoke` are left out. Raises InputError, and
    writes nothing, if the file does not contain each marker exactly once.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    before, after = _around_markers(text, file)
    entries = _without_smoke(_read_ledger(workspace).claims)
    new_text = f"{before}{BEGIN}\n{markdown(entries)}{END}{after}"
    if new_text != text:
        try:
            file.write_text(new_text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {file}: {error.strerror}") from error
    output.note(f"{file}: {len(entries)} claims{'' if new_text != text else ', unchanged'}")


def markdown(entries: Sequence[LedgerEntry]) -> str:
    """A table of claims by study, and a line that says when and where the runs were made."""
    if not entries:
        return "No claim has a verdict yet.\n"
    lines = ["| " + " | ".join(_HEADS) + " |", "|" + "---|" * len(_HEADS)]
    for e in entries:
        cells = (
            e.study,
            e.claim,
            citation(e.source),
            e.says,
            e.claimed,
            e.ours,
            e.interval,
            str(e.n),
        )
        shown = " | ".join(markdown_cell(cell) or "–" for cell in cells)
        lines.append(f"| {shown} | **{e.verdict}** |")
    earlier = [
        "- " + markdown_cell(f"{e.study}, {e.claim}: {'; '.join(e.earlier)}") for e in entries if e.earlier
    ]
    if earlier:
        lines += ["", "Earlier verdicts on the same claims:", "", *earlier]
    return "\n".join((*lines, "", f"Newest runs: {_runs(entries)}.", ""))


def _read_ledger(workspace: Workspace) -> Ledger:
    workspace.check_exists()
    with open_store(workspace.location) as store:
        return read_ledger(store)


def _runs(entries: Sequence[LedgerEntry]) -> str:
    """The studies, without their parts, grouped by scale, device and date."""
    groups: dict[tuple[str, str, str], dict[str, None]] = {}
    for e in entries:
        groups.setdefault((e.scale, e.device, e.date[:10]), {})[e.study.partition("/")[0]] = None
    return "; ".join(
        f"{', '.join(studies)} at scale {scale} on {device}, {date}"
        for (scale, device, date), studies in groups.items()
    )


def _without_smoke(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    by_study = sorted(entries, key=lambda entry: entry.study)
    larger = {entry.study for entry in by_study if entry.scale != "smoke"}
    return [entry for entry in by_study if entry.scale != "smoke" or entry.study not in larger]


def _around_markers(text: str, file: Path) -> tuple[str, str]:
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(
            f"{file} must contain the two markers of the table, once each and in order",
            hint=f"write {BEGIN} and {END} on lines of their own",
        )
    return text[: text.index(BEGIN)], text[text.index(END) + len(END) :]
