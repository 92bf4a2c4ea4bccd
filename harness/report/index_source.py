"""The input of the page about all studies, from a store and the folder of the reports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from harness.report.claims_ledger import device_of, read_ledger
from harness.report.index import (
    EffectTrend,
    IndexClaim,
    IndexInput,
    IndexRun,
    IndexStudy,
    ReportLink,
    TrendPoint,
)
from harness.run.given_settings import given_settings
from harness.store.rows import Artifact, Run, VerdictRow
from harness.store.store import Store
from harness.study.searched import search_kind
from harness.wording import number_text

INDEX = "index.html"
"""The name of the page in the folder of the reports."""


def index_input(store: Store, folder: Path) -> IndexInput:
    """Everything that the page shows. Reports are linked if they lie in `folder`."""
    ledger = read_ledger(store)
    by_study: dict[str, list[Run]] = {}
    for run in store.runs():
        by_study.setdefault(run.study.partition("/")[0], []).append(run)
    return IndexInput(
        studies=tuple(_study(store, name, runs, folder) for name, runs in sorted(by_study.items())),
        ledger=ledger.claims,
        unjudged=ledger.unjudged,
    )


def _study(store: Store, name: str, runs: Sequence[Run], folder: Path) -> IndexStudy:
    newest: dict[tuple[str, str, str], Run] = {}
    for run in runs:  # the oldest first
        if run.plant is None:
            newest[run.study, run.scale, device_of(run)] = run
    last = list(newest.values())
    asking = [run for run in runs if not search_kind(run.study)] or runs
    question = json.loads(asking[-1].study_json).get("question", "")
    return IndexStudy(
        name=name,
        question=question,
        runs=tuple(_run(store, run) for run in last),
        reports=tuple(_links(store, runs, folder)),
        trend=_longest_trend(store, runs),
    )


def _run(store: Store, run: Run) -> IndexRun:
    return IndexRun(
        run=run.id,
        settings=given_settings(store, run),
        part=run.study.partition("/")[2],
        scale=run.scale,
        device=device_of(run),
        date=run.created_at,
        claims=tuple(
            IndexClaim(claim=row.claim, verdict=row.verdict, reason=row.reason) for row in store.verdicts(run)
        ),
    )


def _links(store: Store, runs: Sequence[Run], folder: Path) -> Iterator[ReportLink]:
    """The reports in the folder, each with the run that was written into it last."""
    here, last = folder.resolve(), dict[str, tuple[Artifact, Run]]()
    for run in runs:
        written = store.artifact("report", run.id)
        if written is None:
            continue
        path = Path(written.path)
        if path.parent != here or not path.is_file():
            continue
        if path.name not in last or last[path.name][0].made_at <= written.made_at:
            last[path.name] = written, run
    for name, (_, run) in sorted(last.items()):
        yield ReportLink(file=name, run=run.id, scale=run.scale, date=run.created_at, plant=run.plant)


def _longest_trend(store: Store, runs: Sequence[Run]) -> EffectTrend | None:
    """The trend with the most runs; of several ones, that with the newest run. None if there is none."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        if run.plant is None:
            groups.setdefault((run.study, run.scale, run.study_digest, device_of(run)), []).append(run)
    newest_last = sorted(groups.values(), key=lambda group: group[-1].number)
    trends = [trend for group in newest_last if (trend := _trend(store, group)) is not None]
    return max(reversed(trends), key=lambda trend: len(trend.points), default=None)


def _trend(store: Store, runs: Sequence[Run]) -> EffectTrend | None:
    """The effect on the first claim about the primary metric, in all judged runs of these, which measured
    the same. None if there are fewer than two.
    """
    last = runs[-1]
    effects = [{row.claim: row for row in store.verdicts(run) if row.effect is not None} for run in runs]
    study, known = json.loads(last.study_json), {claim for rows in effects for claim in rows}
    name = next(_claims_by_rank(study, known), "")
    points = [_point(run, rows[name]) for run, rows in zip(runs, effects, strict=True) if name in rows]
    if len(points) < 2:
        return None
    says = study.get("claims", {}).get(name, {}).get("says", "")
    return EffectTrend(claim=name, says=says, scale=last.scale, device=device_of(last), points=tuple(points))


def _claims_by_rank(study: Mapping[str, Any], known: AbstractSet[str]) -> Iterator[str]:
    """The claims with an effect, those about the primary metric first."""
    claims: Mapping[str, Mapping[str, Any]] = study.get("claims", {})
    primary = study.get("primary")
    stated = [name for name in claims if name in known]
    return iter(sorted(stated, key=lambda name: claims[name].get("metric") not in (None, primary)))


def _point(run: Run, row: VerdictRow) -> TrendPoint:
    assert row.effect is not None
    effect, interval = _texts(row)
    return TrendPoint(
        run=run.id,
        code=run.code_digest,
        date=run.created_at,
        verdict=row.verdict,
        effect=row.effect,
        low=row.low,
        high=row.high,
        effect_text=effect,
        interval_text=interval,
    )


def _texts(row: VerdictRow) -> tuple[str, str]:
    written: Mapping[str, str] = (row.basis or {}).get("written", {})
    plain = "–" if row.effect is None else number_text(row.effect)
    return written.get("effect", plain), written.get("interval", "–")
