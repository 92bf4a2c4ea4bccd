"""`harness claims --into README.md`: the verdicts as a Markdown table, between two markers of a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import InputError

if TYPE_CHECKING:
    from harness.cli.console import Output
    from harness.experiment import Place
    from harness.experiment.claims_ledger import Entry

BEGIN, END = "<!-- claims: written by `harness claims --into` -->", "<!-- end of claims -->"
_HEADS = ("study", "claim", "source", "what it says", "claimed", "here", "95 % interval", "n", "verdict")


def write_table(place: Place, file: Path, output: Output) -> None:
    """Put the table where the file has its markers. Raises InputError, nothing written, where it does not
    have them once each.

    Of a study that ran at another scale as well, `smoke` is left out. The same store gives the same file.
    """
    from harness.experiment.claims_ledger import ledger
    from harness.store.store import open_store

    place.check_there()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    before, after = _around(text, file)
    with open_store(place.location) as store:
        entries = _shown(ledger(store).entries)
    written = f"{before}{BEGIN}\n{markdown(entries)}{END}{after}"
    if written != text:
        try:
            file.write_text(written, encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {file}: {error.strerror}") from error
    output.note(f"{file}: {len(entries)} claims{'' if written != text else ', as they were'}")


def markdown(entries: Sequence[Entry]) -> str:
    """The table, study by study, and the run that each study's rows are from."""
    if not entries:
        return "No claim has a verdict yet.\n"
    lines = ["| " + " | ".join(_HEADS) + " |", "|" + "---|" * len(_HEADS)]
    for e in entries:
        cells = (
            e.study,
            e.claim,
            e.source,
            e.says,
            e.claimed,
            e.ours,
            e.interval,
            str(e.n),
            f"**{e.verdict}**",
        )
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join((*lines, "", f"Newest runs: {_runs(entries)}.", ""))


def _runs(entries: Sequence[Entry]) -> str:
    """Studies, parts aside, by where and when they ran."""
    together: dict[tuple[str, str, str], dict[str, None]] = {}
    for e in entries:
        together.setdefault((e.scale, e.device, e.date[:10]), {})[e.study.partition("/")[0]] = None
    return "; ".join(
        f"{', '.join(studies)} at scale {scale} on {device}, {date}"
        for (scale, device, date), studies in together.items()
    )


def _shown(entries: Iterable[Entry]) -> list[Entry]:
    found = list(entries)
    larger = {entry.study for entry in found if entry.scale != "smoke"}
    kept = [entry for entry in found if entry.scale != "smoke" or entry.study not in larger]
    return sorted(kept, key=lambda entry: entry.study)


def _around(text: str, file: Path) -> tuple[str, str]:
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(
            f"{file} does not have the two markers that the table goes between, once each and in order",
            hint=f"write {BEGIN} and {END} on lines of their own",
        )
    return text[: text.index(BEGIN)], text[text.index(END) + len(END) :]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|") or "–"
