"""The proofs of a study's searches before the present one. Each was a look at fresh seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.store.rows import Run
from harness.store.store import Store
from harness.study.levels import level_name, level_settings
from harness.study.loaded import Study
from harness.study.proof_study import BEGIN, FACTOR


@dataclass(frozen=True, kw_only=True)
class EarlierProof:
    """What an earlier proof said. `points` holds the settings that it proved, by the names of the levels in
    the proof. `verdicts` are those of its claims; it is empty if nothing was judged. `date` is when the run
    of the proof began, in ISO 8601 and UTC.
    """

    run: str
    date: str
    points: Mapping[str, Mapping[str, object]]
    verdicts: Mapping[str, str]


def earlier_proofs(store: Store, proof: Run, judgement: int | None = None) -> tuple[EarlierProof, ...]:
    """The proofs of searches of the same study at the same scale whose runs began before this one, the oldest
    first. They may be about another search of the study: other spaces are looks as well. Verdicts are those
    up to a `judgement` of the store, or up to now.
    """
    before = [
        run
        for run in store.runs(proof.study)
        if run.scale == proof.scale and run.plant == proof.plant and run.number < proof.number
    ]
    verdicts: dict[str, dict[str, str]] = {run.id: {} for run in before}
    for row in store.judgements(proof.study, (), until=judgement):
        if row.run_id in verdicts:
            verdicts[row.run_id][row.claim] = row.verdict
    return tuple(
        EarlierProof(run=run.id, date=run.created_at, points=_points(run), verdicts=verdicts[run.id])
        for run in before
    )


def _points(run: Run) -> dict[str, dict[str, object]]:
    """Of each level, the settings in which it differs from the arm with which its search began."""
    levels = Study.model_validate_json(run.study_json).compare[FACTOR]
    named = {level_name(level): level_settings(FACTOR, level) for level in levels}
    begin = named.pop(BEGIN)
    return {
        name: {path: value for path, value in settings.items() if path not in begin or begin[path] != value}
        for name, settings in named.items()
    }
