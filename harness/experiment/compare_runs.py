"""Runs side by side: what differs between them, and the effects and verdicts of each.

The runs were not measured together, so nothing is computed from values of two runs: each effect, interval and
verdict is that of one run alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.results import Contrast, SettledClaim
from harness.config import canonical_json
from harness.experiment.run_differences import RunDifference, run_differences
from harness.metrics import declared
from harness.report.claims_ledger import device_of
from harness.report.inputs import ReportInput
from harness.report.labels import condition_title, metric_of
from harness.store.rows import Run
from harness.study.loaded import LoadedStudy
from harness.wording import effect_text, interval_text

APART = (
    "These runs were not measured together: their effects can differ because of anything that is listed as "
    "different, and because of what nobody recorded. No difference between runs is tested here."
)


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One of the runs. `name` is the letter by which tables call it."""

    name: str
    run: str
    study: str
    scale: str
    date: str
    device: str
    plant: str | None
    progress: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one run says about a contrast or a claim. `effect` and `interval` are texts; the numbers are in
    `figures`: the effect, and the ends of its interval.
    """

    effect: str
    interval: str
    n: int
    verdict: str
    figures: tuple[float | None, float | None, float | None]


@dataclass(frozen=True, kw_only=True)
class EffectRow:
    """A contrast with the cell of each run."""

    metric: str
    arm: str
    baseline: str
    condition: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """A claim with the cell of each run."""

    claim: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """`not_comparable` has one sentence for everything that not all runs have, or have in another form."""

    runs: tuple[ComparedRun, ...]
    differences: tuple[RunDifference, ...]
    effects: tuple[EffectRow, ...]
    claims: tuple[ClaimRow, ...]
    not_comparable: tuple[str, ...]
    note: str = APART


def compare_runs(runs: Sequence[Run], findings: Sequence[ReportInput]) -> RunComparison:
    """The comparison of at least two runs, given what the report of each shows."""
    names = [_letter(number) for number in range(len(runs))]
    records = {name: record for one in findings for name, record in one.loaded.study.records.items()}
    with declared(records):
        contrasts = [{_key(one, c): c for c in one.analysis.contrasts} for one in findings]
        claims = [{claim.id: claim for claim in one.analysis.claims} for one in findings]
        return RunComparison(
            runs=tuple(map(_compared_run, names, runs, findings)),
            differences=tuple(run_differences(runs)),
            effects=tuple(_effects(findings[0].loaded, contrasts)),
            claims=tuple(_claims(claims, findings)),
            not_comparable=(*_missing(names, findings, contrasts), *_other_claims(names, claims, findings)),
        )


_Key = tuple[str, str, str, str]


def _key(findings: ReportInput, contrast: Contrast) -> _Key:
    """What must be equal in two runs so that their contrasts stand in one row."""
    baseline = findings.loaded.baseline.name
    return contrast.metric, contrast.arm, baseline, canonical_json(contrast.condition)


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"R{number + 1}"


def _compared_run(name: str, run: Run, findings: ReportInput) -> ComparedRun:
    return ComparedRun(
        name=name,
        run=run.id,
        study=run.study,
        scale=run.scale,
        date=run.created_at[:16].replace("T", " "),
        device=device_of(run),
        plant=run.plant,
        progress=findings.run.progress or f"{findings.run.finished_trials:,} trials",
    )


def _in_all(sides: Sequence[Mapping[_Key, Contrast]]) -> Iterator[tuple[_Key, list[Contrast]]]:
    for key in sides[0]:
        if all(key in side for side in sides):
            yield key, [side[key] for side in sides]


def _effects(loaded: LoadedStudy, sides: Sequence[Mapping[_Key, Contrast]]) -> Iterator[EffectRow]:
    for (name, arm, baseline, _), contrasts in _in_all(sides):
        compared_by = metric_of(name).compared_by
        yield EffectRow(
            metric=name,
            arm=arm,
            baseline=baseline,
            condition=condition_title(loaded, contrasts[0].condition),
            cells=tuple(
                Cell(
                    effect=effect_text(one.effect, compared_by),
                    interval=interval_text(one.low, one.high, compared_by),
                    n=one.n,
                    verdict=one.verdict,
                    figures=(one.effect, one.low, one.high),
                )
                for one in contrasts
            ),
        )


def _claims(
    sides: Sequence[Mapping[str, SettledClaim]], findings: Sequence[ReportInput]
) -> Iterator[ClaimRow]:
    for claim in sides[0]:
        if len(_contents(claim, findings)) == 1:
            yield ClaimRow(claim=claim, cells=tuple(_claim_cell(side[claim]) for side in sides))


def _claim_cell(claim: SettledClaim) -> Cell:
    numbers = claim.numbers
    return Cell(
        effect=claim.effect,
        interval=claim.interval,
        n=claim.n,
        verdict=claim.verdict,
        figures=(numbers.effect, numbers.low, numbers.high),
    )


def _contents(claim: str, findings: Sequence[ReportInput]) -> set[str]:
    """The different statements that the runs have under this name; an empty one if a run has none."""
    stated = (one.loaded.study.claims.get(claim) for one in findings)
    return {"" if one is None else canonical_json(one.plain() | {"source": "", "says": ""}) for one in stated}


def _missing(
    names: Sequence[str], findings: Sequence[ReportInput], sides: Sequence[Mapping[_Key, Contrast]]
) -> Iterator[str]:
    """One sentence per metric, arm, baseline or condition that not all runs have."""
    baselines = [one.loaded.baseline.name for one in findings]
    if len(set(baselines)) > 1:
        stated = ", ".join(f"{one} in {name}" for name, one in zip(names, baselines, strict=True))
        yield f"The baselines differ, so no effect is comparable: {stated}."
    for noun, position in (("metric", 0), ("arm", 1)):
        yield from _only_in(noun, names, [[key[position] for key in side] for side in sides])
    conditions = [
        [condition_title(findings[0].loaded, one.condition) for one in side.values()] for side in sides
    ]
    yield from _only_in("condition", names, conditions)


def _other_claims(
    names: Sequence[str], sides: Sequence[Mapping[str, SettledClaim]], findings: Sequence[ReportInput]
) -> Iterator[str]:
    yield from _only_in("claim", names, sides)
    for claim in sides[0]:
        if all(claim in side for side in sides) and len(_contents(claim, findings)) > 1:
            yield f"The claim {claim} states something else in each run."


def _only_in(noun: str, names: Sequence[str], sides: Sequence[Iterable[str]]) -> Iterator[str]:
    known = [dict.fromkeys(side) for side in sides]
    for one in dict.fromkeys(one for side in known for one in side):
        having = [name for name, side in zip(names, known, strict=True) if one in side]
        if len(having) < len(names):
            yield f"The {noun} {one} is only in {' and '.join(having)}."
