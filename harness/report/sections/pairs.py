"""The pairs behind each effect: the two values of each round or seed, and what was set aside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.analysis.claims import named_contrasts
from harness.analysis.contrasts import effect_of
from harness.analysis.results import Contrast
from harness.analysis.trial_table import replicate_of, replicate_value
from harness.metrics import Metric
from harness.report.inputs import ReportInput
from harness.report.labels import ArmName, NumberCell, arm_name, condition_key, condition_title, metric_of
from harness.report.sections.samples import export_command
from harness.report.sections.trials import trial_anchors
from harness.store.void import DISTURBED, disturbed_trials
from harness.wording import count, effect_text, full_text, interval_text

MOST_PAIR_ROWS = 1_000

Numbered = tuple[int, int]
"""The round and the seed of a trial."""

Values = Mapping[Numbered, tuple[int, float]]
"""(round, seed) → the id of the trial and its value."""


@dataclass(frozen=True, kw_only=True)
class TrialLink:
    """`anchor` is empty if the page does not describe the trial."""

    trial: int
    anchor: str


@dataclass(frozen=True, kw_only=True)
class PairRow:
    """`baseline`, `arm` and `effect` are the two values of a replicate and what they give. `note` says why
    the pair was set aside or counts in a special way.
    """

    replicate: str
    baseline: NumberCell
    arm: NumberCell
    effect: NumberCell
    baseline_trials: tuple[TrialLink, ...]
    arm_trials: tuple[TrialLink, ...]
    same: bool
    note: str


@dataclass(frozen=True, kw_only=True)
class ContrastPairs:
    """`total` counts the pairs, of which `rows` are the first."""

    anchor: str
    metric: str
    arm: ArmName
    condition: str
    result: str
    about: str
    effect: str
    rows: tuple[PairRow, ...]
    total: int


@dataclass(frozen=True, kw_only=True)
class PairsView:
    """`shown` of `total` contrasts are listed."""

    contrasts: tuple[ContrastPairs, ...]
    shown: int
    total: int
    baseline: str
    export: str


def summary(view: PairsView) -> str:
    """The number of effects."""
    return count(view.total, "effect")


def pair_anchors(report: ReportInput) -> dict[tuple[str, str, str], str]:
    """(metric, arm, condition) of each contrast whose pairs the page lists → its anchor."""
    conditions = [condition_key(condition) for condition in report.loaded.conditions]
    arms = [arm.name for arm in report.loaded.arms]
    anchors = {}
    for contrast in _listed(report):
        key = condition_key(contrast.condition)
        numbers = conditions.index(key) + 1, arms.index(contrast.arm)
        anchors[contrast.metric, contrast.arm, key] = report.anchor("pairs", *numbers, contrast.metric)
    return anchors


def _listed(report: ReportInput) -> list[Contrast]:
    """As many contrasts as there is room for: those of the primary metric, then those of claims, then all
    others.
    """
    named, primary = set(named_contrasts(report.loaded)), report.loaded.study.primary
    design = report.loaded.study.design
    ordered = sorted(
        report.analysis.contrasts,
        key=lambda c: (c.metric != primary, (c.metric, c.arm, condition_key(c.condition)) not in named),
    )
    chosen = ordered[: max(1, MOST_PAIR_ROWS // (design.rounds * design.seeds))]
    names = {(c.metric, c.arm, condition_key(c.condition)) for c in chosen}
    in_order = sorted(report.analysis.contrasts, key=lambda c: c.metric != primary)
    return [c for c in in_order if (c.metric, c.arm, condition_key(c.condition)) in names]


def pairs_view(report: ReportInput) -> PairsView | None:
    anchors = pair_anchors(report)
    if not anchors:
        return None
    cells = _cells(report, {metric for metric, _, _ in anchors})
    disturbed = {
        row.round: f"disturbed from outside ({row.notes[DISTURBED]})"
        for row in disturbed_trials(report.trials)
    }
    links = trial_anchors(report)
    listed = []
    for contrast in _listed(report):
        key = condition_key(contrast.condition)
        sides = [
            cells.get((contrast.metric, arm, key), {}) for arm in (report.loaded.baseline.name, contrast.arm)
        ]
        record = metric_of(contrast.metric)
        rows = tuple(_rows(report, contrast, (sides[0], sides[1]), disturbed, links))
        listed.append(
            ContrastPairs(
                anchor=anchors[contrast.metric, contrast.arm, key],
                metric=record.label,
                arm=arm_name(report.loaded, contrast.arm),
                condition=condition_title(report.loaded, contrast.condition),
                result=f"{effect_text(contrast.effect, record.compared_by)} "
                f"({interval_text(contrast.low, contrast.high, record.compared_by)})",
                about=" ".join(_about(record, contrast)),
                effect="arm ÷ baseline" if record.compared_by == "ratios" else "arm − baseline",
                rows=rows[:MOST_PAIR_ROWS],
                total=len(rows),
            )
        )
    return PairsView(
        contrasts=tuple(listed),
        shown=len(listed),
        total=len(report.analysis.contrasts),
        baseline=report.loaded.label(report.loaded.baseline.name),
        export=export_command(report),
    )


def _cells(
    report: ReportInput, metrics: set[str]
) -> dict[tuple[str, str, str], dict[Numbered, tuple[int, float]]]:
    """(metric, arm, condition) → the values of its trials."""
    values = report.every_value
    values = values[values["metric"].isin(metrics)].sort_values(["round", "seed", "trial"], kind="stable")
    names = ("metric", "arm", "condition", "round", "seed", "trial", "value")
    cells: dict[tuple[str, str, str], dict[Numbered, tuple[int, float]]] = {}
    for metric, arm, condition, number, seed, trial, value in zip(
        *(values[name].tolist() for name in names), strict=True
    ):
        cells.setdefault((metric, arm, condition), {})[number, seed] = (trial, value)
    return cells


def _about(record: Metric, contrast: Contrast) -> Iterator[str]:
    """Sentences on how the pairs become the effect."""
    if record.paired_over == "sentences":
        texts = count(contrast.n, "distinct text")
        yield f"The effect compares {texts}; a row shows the scores of two trials."
    elif record.paired_over == "seeds":
        yield "A pair is a seed: the rounds of a seed repeat one training, and their mean counts."
    if contrast.reason:
        yield f"{contrast.reason[0].upper()}{contrast.reason[1:]}."


def _rows(
    report: ReportInput,
    contrast: Contrast,
    sides: tuple[Values, Values],
    disturbed: Mapping[int, str],
    links: Mapping[int, str],
) -> Iterator[PairRow]:
    record, seeds = metric_of(contrast.metric), report.loaded.study.design.seeds
    used = dict(contrast.pairs)
    members: dict[int, list[Numbered]] = {}
    for trial in sorted(sides[0].keys() | sides[1].keys()):
        members.setdefault(replicate_of(record, trial, seeds), []).append(trial)
    for replicate, trials in sorted(members.items()):
        disturbance = _disturbance(report, trials[0][0], disturbed) if record.timed else ""
        values = [_value(record, side, trials) for side in sides]
        effect = (
            effect_of(record, used[replicate]) if replicate in used else _effect(record, values[0], values[1])
        )
        cells = [NumberCell(text=record.format(value), value=full_text(value)) for value in values]
        shown = [
            tuple(
                TrialLink(trial=side[trial][0], anchor=links.get(side[trial][0], ""))
                for trial in trials
                if trial in side
            )
            for side in sides
        ]
        yield PairRow(
            replicate=_replicate(record, trials[0], seeds),
            baseline=cells[0],
            arm=cells[1],
            effect=NumberCell(text=effect_text(effect, record.compared_by), value=full_text(effect)),
            baseline_trials=shown[0],
            arm_trials=shown[1],
            same=values[0] == values[1],
            note=disturbance or _note(contrast, replicate, values, used),
        )


def _disturbance(report: ReportInput, number: int, disturbed: Mapping[int, str]) -> str:
    """What disturbed a round. If too many rounds were disturbed, none of them is set aside."""
    if number not in disturbed:
        return ""
    return f"set aside: {disturbed[number]}" if number in report.void else f"counts, but {disturbed[number]}"


def _note(contrast: Contrast, replicate: int, values: list[float], used: Mapping[int, float]) -> str:
    if replicate in contrast.unknown:
        return "both trainings diverged: a tie"
    if replicate in used and used[replicate] != used[replicate]:
        return "a value is lost: the pair counts against every statement"
    if values[0] != values[0] or values[1] != values[1]:
        return "not used: a value is missing"
    return "not used" if used and replicate not in used else ""


def _replicate(record: Metric, trial: Numbered, seeds: int) -> str:
    number, seed = trial
    if record.paired_over == "seeds":
        return f"seed {seed}"
    return f"round {number}" if seeds == 1 else f"round {number}, seed {seed}"


def _value(record: Metric, side: Values, trials: list[Numbered]) -> float:
    values = [side[trial][1] for trial in trials if trial in side]
    return replicate_value(record, values) if values else float("nan")


def _effect(record: Metric, baseline: float, arm: float) -> float:
    """What two values give that no contrast uses. NaN if they have no ratio."""
    if record.compared_by == "differences":
        return arm - baseline
    if arm == baseline:
        return 1.0
    return arm / baseline if baseline > 0 else float("nan")
