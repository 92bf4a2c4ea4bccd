"""The ledger: every claim in the store with its last verdict, ordered by source."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.machine.environment import Environment
from harness.run.identity import environment_digest
from harness.store.rows import JudgedClaim, Run, VerdictRow
from harness.store.store import Store


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """A claim and its last verdict, at one scale on one device.

    `effect`, `low`, `high` and `claimed_figure` are in the unit of the claim, or None if there is no such
    figure; `ours`, `interval` and `claimed` are the same as text. `ordinal` counts the runs of this study,
    code and machine. `earlier` has one sentence per earlier verdict on the claim, on any run of the study at
    this scale, and `judged` counts them together with the last one.
    """

    source: str
    claim: str
    says: str
    study: str
    verdict: str
    claimed: str
    ours: str
    interval: str
    n: int
    effect: float | None
    low: float | None
    high: float | None
    claimed_figure: float | None
    scale: str
    device: str
    date: str
    run: str
    ordinal: int
    reason: str
    judged: int = 1
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """An entry per claim, and in `unjudged` the studies whose newest run has no verdicts in the store."""

    claims: tuple[LedgerEntry, ...]
    unjudged: tuple[str, ...]


def read_ledger(store: Store) -> Ledger:
    """The claims of the newest run of each study, scale and device. Runs with a planted bug are left out."""
    newest: dict[tuple[str, str, str], Run] = {}
    for run in store.runs():  # the oldest first
        if run.plant is None:
            newest[run.study, run.scale, device_of(run)] = run
    runs = {run.id: run for run in store.runs()}
    entries, unjudged = [], []
    for run in newest.values():
        rows, judgements = store.verdicts(run), store.judgements(run.study, ())
        declared = json.loads(run.study_json).get("claims", {})
        for row in rows:
            earlier = _earlier(row.claim, run, judgements, runs)
            entries.append(_entry(run, row, declared.get(row.claim, {}), earlier))
        if declared and not rows:
            unjudged.append(run.study)
    # The sort is stable: claims of a study stay in the order in which it states them.
    entries.sort(key=lambda entry: (entry.source, entry.study))
    return Ledger(claims=tuple(entries), unjudged=tuple(dict.fromkeys(unjudged)))


def device_of(run: Run) -> str:
    """The name of the GPU of the run, which the digest of its environment tells, or else of the CPU."""
    facts = run.environment
    try:
        here = Environment.model_validate_json(json.dumps(facts))
    except ValueError:  # written by another version
        return str(facts.get("cpu", "unknown"))
    chosen = (gpu for gpu in here.gpus if environment_digest(here, gpu.uuid) == run.environment_digest)
    return next((gpu.name or gpu.uuid for gpu in chosen), here.cpu)


def _earlier(
    claim: str, run: Run, judgements: Sequence[JudgedClaim], runs: Mapping[str, Run]
) -> tuple[str, ...]:
    """One sentence per judgement of a claim before the last one of this run, at this scale."""
    made = [row for row in judgements if row.claim == claim and runs[row.run_id].plant is None]
    last = max((row.id for row in made if row.run_id == run.id), default=0)
    return tuple(
        f"{row.judged_at[:10]}, run {row.run_id}: {row.verdict if row.late else row.alone}"
        f"{', declared after the data' if row.late else ''}, {row.effect} ({row.interval})"
        for row in made
        if runs[row.run_id].scale == run.scale and row.id != last
    )


def _entry(run: Run, row: VerdictRow, claim: dict[str, Any], earlier: tuple[str, ...]) -> LedgerEntry:
    texts = (row.basis or {}).get("written", {})
    return LedgerEntry(
        source=claim.get("source", ""),
        claim=row.claim,
        says=claim.get("says", ""),
        study=run.study,
        verdict=row.verdict,
        claimed=texts.get("claimed", _plain(row.claimed)),
        ours=texts.get("effect", _plain(row.effect)),
        interval=texts.get("interval", "–"),
        n=row.n,
        effect=row.effect,
        low=row.low,
        high=row.high,
        claimed_figure=row.claimed,
        scale=run.scale,
        device=device_of(run),
        date=run.created_at,
        run=run.id,
        ordinal=run.ordinal,
        reason=row.reason,
        judged=len(earlier) + 1,
        earlier=earlier,
    )


def _plain(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:.4g}"
