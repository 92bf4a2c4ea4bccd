"""`harness store`: check, copy and compact the store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from harness.cli.console import CommandOutput
from harness.errors import InvalidError, Location
from harness.experiment import Workspace
from harness.store.maintenance import back_up, check_store, compact
from harness.store.transfer import transfer
from harness.wording import count, format_bytes


def show_check(workspace: Workspace, output: CommandOutput) -> None:
    """Print that the store is sound. Raises InvalidError, with the first problem, if it is not."""
    workspace.check_exists()
    check = check_store(workspace.location)
    if output.json:
        output.data({"sound": not check.problems, **asdict(check)})
    for note in check.notes:
        output.note(note)
    if check.problems:
        if not output.json:
            for problem in check.problems[1:]:
                output.note(problem)
        more = f"{len(check.problems)} problems; the first: " if len(check.problems) > 1 else ""
        raise InvalidError(
            f"{more}{check.problems[0]}",
            at=Location(check.store),
            hint="restore it from a copy, which `harness store backup` makes",
        )
    if not output.json:
        output.line(f"{check.store}: sound, {count(check.runs, 'run')}")


def copy_store(workspace: Workspace, target: Path, output: CommandOutput) -> None:
    """Copy the store into a new file."""
    workspace.check_exists()
    size = back_up(workspace.location, target)
    if output.json:
        output.data({"file": str(target), "bytes": size})
    else:
        output.line(f"{target}: {format_bytes(size)}, checked")


def transfer_store(source: str, target: str, output: CommandOutput) -> None:
    """Copy the store into another database."""
    check = transfer(source, target)
    if output.json:
        output.data({"store": check.store, "runs": check.runs})
    else:
        output.line(f"{check.store}: {count(check.runs, 'run')}, checked")


def compact_store(workspace: Workspace, output: CommandOutput) -> None:
    """Write the store anew, without free pages."""
    workspace.check_exists()
    before, after = compact(workspace.location)
    if output.json:
        output.data({"bytes_before": before, "bytes_after": after})
    else:
        output.line(f"{workspace.location}: {format_bytes(before)} before, {format_bytes(after)} now")
