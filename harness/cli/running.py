"""`harness run` and `harness report`: run an experiment, and print its verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.cli.console import CommandOutput, parts_as_json, planted_text
from harness.cli.progress_listener import ProgressListener
from harness.errors import InvalidError, TrialError
from harness.experiment import Experiment
from harness.report.inputs import ReportInput
from harness.search.findings import SearchFindings
from harness.search.points import SearchedPoint


def run_study(
    experiment: Experiment, output: CommandOutput, *, fresh: bool, retry_failed: bool, report: bool
) -> None:
    """Run the missing trials, print the verdicts and write the report.

    Raises TrialError or InvalidError, after everything has been printed, if trials failed or verdicts are
    invalid.
    """
    with output.progress() as progress:
        experiment.run(fresh=fresh, retry_failed=retry_failed, listener=ProgressListener(output, progress))
    show_verdicts(experiment, output, report=report)


def show_verdicts(experiment: Experiment, output: CommandOutput, *, report: bool) -> None:
    """Judge the run, print the verdicts, and write the report if `report` is set. Raises as `run_study`."""
    parts = experiment.judge()
    path = experiment.report() if report else None
    _print_verdicts(parts, path, output)
    hint = f"see {path}" if path else None
    failed = [f"{_prefix(part)}{line}" for part in parts for line in part.run.failed]
    invalid = [
        f"{_prefix(part)}{arm}: {reason}" for part in parts for arm, reason in part.analysis.invalid.items()
    ]
    for problems, kind in ((failed, TrialError), (invalid, InvalidError)):
        if problems:
            count = f"{len(problems)} problems; the first: " if len(problems) > 1 else ""
            raise kind(f"{count}{problems[0]}", hint=hint)


def _prefix(part: ReportInput) -> str:
    """The name of the part, before a line about it; empty if the study has no parts."""
    return f"{part.loaded.part}: " if part.loaded.part else ""


def _print_verdicts(parts: Sequence[ReportInput], path: Path | None, output: CommandOutput) -> None:
    study = parts[0].loaded
    if output.json:
        data = parts_as_json([(part.loaded.part, _verdict_data(part)) for part in parts])
        report = str(path) if path else None
        output.data({"study": study.name, "scale": study.scale, **data, "report": report})
        return
    if not output.quiet:
        output.line(study.study.question)
        if plant := parts[0].run.plant:
            output.line(planted_text(plant))
        for part in parts:
            output.line(_prefix(part) + part.analysis.answer)
            for warning in part.analysis.warnings:
                output.note(f"warning: {_prefix(part)}{warning}")
        rows = [{"claim": claim.id, **asdict(claim)} for part in parts for claim in part.analysis.claims]
        output.table(rows, ["claim", "verdict", "effect", "interval", "claimed", "n"])
        for part in parts:
            for line in part.history.lines:
                output.line(_prefix(part) + line)
    if path is not None:
        output.line(f"report: {path}")


def _verdict_data(part: ReportInput) -> dict[str, Any]:
    return {
        "run": part.run.id,
        "plant": part.run.plant,
        "answer": part.analysis.answer,
        "claims": [claim.row() for claim in part.analysis.claims],
        "history": [asdict(earlier) for rows in part.history.earlier.values() for earlier in rows],
        "invalid": part.analysis.invalid,
        "warnings": list(part.analysis.warnings),
        "failed": part.run.failed,
        "finished": part.run.finished_trials,
        "expected": part.run.expected_trials,
        **({"search": _search_data(part.search)} if part.search else {}),
    }


def _search_data(search: SearchFindings) -> dict[str, Any]:
    def point_data(point: SearchedPoint) -> dict[str, Any]:
        values = {objective.name: point.median(objective) for objective in search.objectives}
        return {"point": point.number, "settings": search.space.read(point.names), **values}

    return {
        "run": search.run.id,
        "points": len(search.points),
        "begin": point_data(search.begin),
        **{name: point_data(point) for name, point in search.best.items()},
    }
