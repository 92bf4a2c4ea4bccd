"""`harness claims`: every claim of every study in the store, and what became of it."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.cli.console import Output
    from harness.experiment import Place

COLUMNS = (
    "source",
    "claim",
    "study",
    "claimed",
    "ours",
    "interval",
    "n",
    "verdict",
    "scale",
    "device",
    "date",
)


def show_ledger(place: Place, output: Output) -> None:
    """The ledger as a table, or as JSON: `claims`, a list of `harness.experiment.claims_ledger.Entry`, and
    `unjudged` studies.

    In JSON, a bound that is infinite is the text `inf` or `-inf`.
    """
    from harness.experiment.claims_ledger import ledger
    from harness.store.store import open_store

    place.check_there()
    with open_store(place.location) as store:
        found = ledger(store)
    rows = [{name: _told(value) for name, value in asdict(entry).items()} for entry in found.entries]
    if output.json:
        output.data({"claims": rows, "unjudged": list(found.unjudged)})
        return
    output.table([{**row, "date": row["date"][:10]} for row in rows], COLUMNS)
    for study in found.unjudged:
        output.note(f"the newest run of {study} has no verdicts yet: harness report {study}")


def _told(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
