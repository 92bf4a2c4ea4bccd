"""`harness gate --history`: what the benchmarks took in accepted revisions, and where that changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.cli.console import CommandOutput
from harness.experiment import Workspace
from harness.gate.change_points import ChangePoint, can_find_changes, change_points
from harness.gate.gate import GATE_FOLDER
from harness.gate.history import HISTORY_FILE, BenchmarkHistory, benchmark_histories, read_history
from harness.wording import format_seconds

COLUMNS = ("benchmark", "machine", "committed", "revision", "time", "change")


def show_history(workspace: Workspace, output: CommandOutput) -> None:
    """Print the history of every benchmark. Raises InputError if its file is damaged."""
    histories = benchmark_histories(read_history(workspace.results / GATE_FOLDER / HISTORY_FILE))
    changes = [change_points(one) for one in histories]
    if output.json:
        benchmarks = [_document(*one) for one in zip(histories, changes, strict=True)]
        output.data({"benchmarks": benchmarks, "change_points": can_find_changes()})
        return
    output.table((row for one in zip(histories, changes, strict=True) for row in _rows(*one)), COLUMNS)
    if not histories:
        output.note("no gate has accepted a revision yet")
    elif not can_find_changes():
        output.note("to look for changes in these times: pip install 'transformer-harness[history]'")


def _rows(history: BenchmarkHistory, changes: Sequence[ChangePoint]) -> Iterator[dict[str, Any]]:
    phrases = {one.revision: one.phrase for one in changes}
    for revision, committed, seconds in _figures(history):
        yield {
            "benchmark": history.benchmark,
            "machine": history.machine[:8],
            "committed": committed.isoformat(" ", "minutes"),
            "revision": revision[:12],
            "time": format_seconds(seconds),
            "change": phrases.get(revision, ""),
        }


def _document(history: BenchmarkHistory, changes: Sequence[ChangePoint]) -> dict[str, Any]:
    figures = [
        {"revision": revision, "committed": committed.isoformat(), "seconds": seconds}
        for revision, committed, seconds in _figures(history)
    ]
    steps = [
        {"revision": one.revision, "committed": one.committed.isoformat(), "ratio": one.ratio}
        for one in changes
    ]
    return {
        "benchmark": history.benchmark,
        "machine": history.machine,
        "code": history.code,
        "figures": figures,
        "changes": steps,
    }


def _figures(history: BenchmarkHistory) -> Iterator[tuple[str, Any, float]]:
    return zip(history.revisions, history.committed, history.seconds, strict=True)
