"""`harness doctor`: what this machine can and cannot measure, and what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from harness.cli.console import CommandOutput
from harness.data.cache import cache_dir
from harness.doctor import Machine, examine
from harness.experiment import Workspace


def show_findings(workspace: Workspace, output: CommandOutput) -> None:
    """Print a table of all findings. With --verbose, it also says what each finding means.

    Raises StoreError if the URL of the store is wrong.
    """
    machine = Machine(
        results=workspace.results, reports=workspace.reports, cache=cache_dir(), store=workspace.location
    )
    findings = [asdict(finding) for finding in examine(machine)]
    output.table(findings, ["state", "subject", "seen", "meaning", "advice"])
    states = Counter(finding["state"] for finding in findings)
    output.note(", ".join(f"{states[state]} {state}" for state in ("ok", "limited", "missing")))
