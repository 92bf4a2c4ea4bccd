"""`harness runs`: the runs of a study, and what differs between them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.cli.console import CommandOutput
from harness.errors import HarnessError, InputError, did_you_mean
from harness.experiment import Workspace
from harness.experiment.run_differences import setting_differences
from harness.experiment.workspace import find_study
from harness.report.claims_ledger import device_of
from harness.run.given_settings import given_settings
from harness.run.open_session import is_open
from harness.store.rows import COUNTED_STATES, Run
from harness.store.store import Store, open_store
from harness.study.load import StudyFile
from harness.wording import count

MOST_SHOWN = 3
"""The largest number of different settings in the table. JSON has all of them."""

SHORT = 8
"""The number of digits of a digest in the table."""

COLUMNS = ("run", "date", "scale", "differs", "code", "machine", "trials", "verdicts")


def show_runs(study: str, workspace: Workspace, output: CommandOutput) -> None:
    """One line per run, the oldest first. Other programs may read the JSON.

    Raises InputError if the store has no run of the study.
    """
    workspace.check_exists(hint=f"start with `harness run {study}`")
    with open_store(workspace.location) as store:
        runs = store.runs()
        name = study_name(study, {run.study.partition("/")[0] for run in runs})
        plain = _without_settings(store, runs) | _plain_studies(study)
        rows = [
            _row(store, run, plain.get((run.study, run.scale)))
            for run in runs
            if run.study.partition("/")[0] == name
        ]
    if output.json:
        output.data(rows)
        return
    output.table((_shown(row) for row in rows), COLUMNS)


def study_name(study: str, known: set[str]) -> str:
    """The name of a study that has runs, from its name or its file."""
    name = study
    if study not in known:
        try:
            name = StudyFile(find_study(study)).load()[0].name
        except HarnessError:
            name = Path(study).stem
    if name in known:
        return name
    hint = did_you_mean(name, known) or "`harness list` shows the studies"
    raise InputError(f"the store has no run of a study {name!r}", hint=hint)


def _plain_studies(study: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The study of the file at each scale without settings, by its name and scale. Empty without a file."""
    try:
        file = StudyFile(find_study(study))
        parts = [(scale, part) for scale in file.scales for part in file.load(scale)]
    except HarnessError:
        return {}
    return {(part.study.study, scale): part.study.model_dump(mode="json") for scale, part in parts}


def _without_settings(store: Store, runs: Sequence[Run]) -> dict[tuple[str, str], dict[str, Any]]:
    """The same from the newest runs without settings, for a study whose file is not here."""
    plain = (run for run in runs if not given_settings(store, run))
    return {(run.study, run.scale): json.loads(run.study_json) for run in plain}


def _row(store: Store, run: Run, plain: dict[str, Any] | None) -> dict[str, Any]:
    recorded = json.loads(run.study_json)
    differences = [] if plain is None else setting_differences(plain, recorded)
    states = Counter(trial.state for trial in store.planned(run))
    return {
        "run": run.id,
        "study": run.study,
        "date": run.created_at,
        "scale": run.scale,
        "plant": run.plant,
        "settings": {one.path: {"plain": one.before, "run": one.now} for one in differences},
        "draw": run.draw,
        "code": run.code_digest,
        "environment": run.environment_digest,
        "device": device_of(run),
        "running": any(map(is_open, store.sessions(run))),
        "finished": sum(states[state] for state in COUNTED_STATES),
        "planned": run.expected_trials,
        "verdicts": {row.claim: row.verdict for row in store.verdicts(run)},
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    part = row["study"].partition("/")[2]
    trials = f"{row['finished']:,} of {row['planned']:,}"
    return {
        "run": row["run"],
        "date": row["date"][:16].replace("T", " "),
        "scale": f"{row['scale']}, part {part}" if part else row["scale"],
        "differs": ", ".join(_differs(row)) or None,
        "code": row["code"][:SHORT],
        "machine": f"{row['device']} ({row['environment'][:SHORT]})",
        "trials": f"running, {trials}" if row["running"] else trials,
        "verdicts": _in_short(tuple(row["verdicts"].values())),
    }


def _differs(row: dict[str, Any]) -> Iterator[str]:
    if row["plant"]:
        yield f"planted bug {row['plant']}"
    if row["draw"] > 1:
        yield f"fresh seeds ({row['draw']})"
    settings = [f"{path}={value['run']}" for path, value in row["settings"].items()]
    yield from settings[:MOST_SHOWN]
    if len(settings) > MOST_SHOWN:
        yield count(len(settings) - MOST_SHOWN, "more setting")


def _in_short(verdicts: Sequence[str]) -> str:
    counts = Counter(verdicts)
    return ", ".join(f"{number} {verdict}" for verdict, number in counts.items()) or "not judged"
