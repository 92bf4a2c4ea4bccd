"""The search: its rule, what it found, and how much of that was left on fresh seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.metrics import Metric
from harness.report.inputs import ReportInput
from harness.report.labels import Badge, badge, search_names
from harness.report.shrinkage import Shrinkage, shrinkages
from harness.search.earlier_proofs import EarlierProof
from harness.search.findings import SearchFindings
from harness.search.points import PointState, SearchedPoint
from harness.study.arms import wanted_levels
from harness.study.levels import level_name
from harness.study.names import Names
from harness.study.seeds import FIRST_SEARCH_SEED
from harness.study.space import Space
from harness.wording import (
    UNBOUNDED,
    UNKNOWN,
    chosen_text,
    count,
    effect_text,
    format_seconds,
    interval_text,
    number_text,
    percent_text,
)

_STATES: dict[PointState, str] = {
    "complete": "complete",
    "diverged": "diverged, which counts as the worst value",
    "pruned": "pruned",
    "failed": "failed",
    "open": "not finished",
}


@dataclass(frozen=True, kw_only=True)
class ParameterRow:
    """`path` is the setting that the parameter changes, or empty if it is the `name` itself. `values` are
    those that the space allows, `when` says when the parameter exists. `points` are its values where the
    search began and at each proven point.
    """

    name: str
    path: str
    values: str
    when: str
    points: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ShrinkageRow:
    """One proven point on one objective: the medians in the search, the effect there, and that of the
    proof.
    """

    level: str
    number: int
    metric: str
    before: str
    value: str
    seen: str
    proven: str
    interval: str
    verdict: Badge | None


@dataclass(frozen=True, kw_only=True)
class SearchView:
    """`levels` are the names of the proven points, `conditional` says whether some parameters do not always
    exist. `left` has sentences about what was left on fresh seeds, and `earlier` the earlier proofs.
    """

    rule: tuple[str, ...]
    levels: tuple[str, ...]
    conditional: bool
    parameters: tuple[ParameterRow, ...]
    left: tuple[str, ...]
    shrinkage: tuple[ShrinkageRow, ...]
    earlier: tuple[str, ...]


def search_view(report: ReportInput) -> SearchView | None:
    """None for a study that proves no search."""
    search = report.search
    if search is None:
        return None
    shrunk = shrinkages(search, report.loaded, report.analysis.contrasts)
    names = search_names(report.loaded, search.space)
    return SearchView(
        rule=tuple(_rule(search, names)),
        levels=tuple(search.best),
        conditional=any(one.when for one in search.space.parameters.values()),
        parameters=tuple(_parameters(search, names)),
        left=left_sentences(search, shrunk),
        shrinkage=tuple(_shrinkage(search, one) for one in shrunk),
        earlier=tuple(map(_earlier, search.earlier_proofs)),
    )


def headline(report: ReportInput) -> list[str]:
    """What the search said and what the proof said, for the terminal."""
    search = report.search
    if search is None:
        return []
    lines = [f"{count(len(search.points), 'point')}: {_states(search)}"]
    for level, point in search.best.items():
        settings = ", ".join(f"{name}={text}" for name, text in point_texts(search.space, point).items())
        values = (
            f"{objective.label} {objective.format(point.median(objective))}, "
            f"before {_value(search.begin, objective)}"
            for objective in search.objectives
        )
        lines.append(f"{level}: point {point.number} ({settings}), {'; '.join(values)}")
    shrunk = shrinkages(search, report.loaded, report.analysis.contrasts)
    return [*lines, *left_sentences(search, shrunk)]


def point_texts(space: Space, point: SearchedPoint, names: Names | None = None) -> dict[str, str]:
    """The values of a point as a person reads them: numbers have four significant digits, and choices have
    their labels if there are `names`.
    """
    return {
        name: (names.bare_level(name, text) if names else text)
        if space.kinds[name] == "choice"
        else chosen_text(float(text))
        for name in space.parameters
        if (text := point.names.get(name)) is not None
    }


def left_sentences(search: SearchFindings, shrunk: Sequence[Shrinkage]) -> tuple[str, ...]:
    """How much of what the search saw was left on fresh seeds, for each proven point and objective."""
    return tuple(_left(one, alone=len(search.objectives) == 1) for one in shrunk)


def _left(one: Shrinkage, *, alone: bool) -> str:
    objective, gain = one.objective, one.gain(one.seen)
    point = f"point {one.point.number}" if alone else f"{one.level} (point {one.point.number})"
    if math.isnan(gain):
        return (
            f"The arm with which the search began has no {objective.label} there with which {point} could be "
            f"compared. {_proven(one)}"
        )
    if gain <= 0:
        how = _how_much(objective, gain)
        if not alone:
            seen = f"In {objective.label} the search saw {point} {how} than where it began."
        else:
            seen = (
                "The search found nothing better than the arm with which it began. The best other point, "
                f"{point}, was {how} in {objective.label}, and was measured all the same."
            )
        return f"{seen} {_proven(one)}"
    proven, seen = one.proven_gain, _amount(objective, gain)
    if proven is None:
        return f"The search saw a gain of {seen} in {objective.label} at {point}. {_proven(one)}"
    left, interval = _amount(objective, proven[0]), _interval(objective, proven)
    if proven[0] <= 0:
        return (
            f"Nothing of the gain of {seen} in {objective.label} that the search saw at {point} is left: on "
            f"fresh seeds it is {_how_much(objective, proven[0])} (gain {interval})."
        )
    if proven[0] >= gain:
        return (
            f"The search saw a gain of {seen} in {objective.label} at {point}, and it did not shrink: on "
            f"fresh seeds it is {left} ({interval})."
        )
    return (
        f"Of the gain of {seen} in {objective.label} that the search saw at {point}, {left} ({interval}) is "
        "left on fresh seeds."
    )


def _proven(one: Shrinkage) -> str:
    if one.proven_gain is None:
        reason = f": {one.proof.reason}" if one.proof is not None and one.proof.reason else ""
        return f"The proof has no valid figure for it{reason}."
    gain, interval = one.proven_gain[0], _interval(one.objective, one.proven_gain)
    return f"On fresh seeds it is {_how_much(one.objective, gain)} (gain {interval})."


def _how_much(objective: Metric, gain: float) -> str:
    if gain == 0:
        return "no different"
    return f"{_amount(objective, abs(gain))} {'better' if gain > 0 else 'worse'}"


def _amount(objective: Metric, gain: float) -> str:
    """A gain with its unit: `4.1 %`, or `0.62`."""
    if objective.compared_by == "ratios":
        return f"{'-' if gain < 0 else ''}{percent_text(abs(gain))}"
    return f"{number_text(gain)} {objective.unit}".rstrip()


def _interval(objective: Metric, gains: tuple[float, float, float]) -> str:
    _, low, high = gains
    if math.isinf(low) or math.isinf(high):
        return UNBOUNDED
    least = _amount(objective, low).removesuffix(" %").removesuffix(f" {objective.unit}")
    return f"{least} to {_amount(objective, high)}"


def _rule(search: SearchFindings, names: Names) -> Iterator[str]:
    declared = search.search
    yield (
        f"The search asked {count(len(search.points), 'point')} from the sampler "
        f"{_method(declared.sampler.plain(), f'seed {declared.seed}')}: {_states(search)}. "
        f"Its trials took {format_seconds(sum(point.seconds for point in search.points))} in all."
    )
    objectives = " and ".join(
        f"{objective.label} ({objective.better} is better)" for objective in search.objectives
    )
    last = FIRST_SEARCH_SEED + declared.seeds - 1
    seeds = f"with seed {last}" if declared.seeds == 1 else f"over seeds {FIRST_SEARCH_SEED} to {last}"
    yield f"The value of a point is its {'median ' if declared.seeds > 1 else ''}{objectives} {seeds}."
    if declared.pruner is not None:
        yield f"The pruner {_method(declared.pruner.plain())} gave up points that did not look promising."
    outside = "" if search.begin.names else " Its settings are not a point of the space."
    yield f"Point 0 is the arm with which the search began.{outside}"
    chosen = (
        "The best other point"
        if len(search.objectives) == 1
        else "The best other point of each objective, and then others of the Pareto front,"
    )
    verb = "was" if len(search.best) == 1 else "were"
    yield (
        f"{chosen} {verb} measured again beside it on fresh seeds. Only these measurements decide the claims."
    )
    for level, point in search.best.items():
        for name in search.space.near_ends(search.space.read(point.names)):
            edge = "is at the edge of its range, so better values may lie outside"
            yield f"The {names.factor(name)} of {level} {edge}."


def _method(settings: dict[str, object], *others: str) -> str:
    """`tpe (random 10, candidates 24, joint yes, seed 0)`."""
    words = {True: "yes", False: "no", None: "by its default"}
    parts = [
        f"{name.replace('_', ' ')} {words[value] if value is None or isinstance(value, bool) else value}"
        for name, value in settings.items()
        if name != "kind"
    ]
    parts += others
    return f"{settings['kind']} ({', '.join(parts)})" if parts else str(settings["kind"])


def _states(search: SearchFindings) -> str:
    """`7 complete, 1 pruned`."""
    counts = Counter(point.state for point in search.points)
    return ", ".join(f"{counts[state]:,} {text}" for state, text in _STATES.items() if counts[state])


def _parameters(search: SearchFindings, names: Names) -> Iterator[ParameterRow]:
    space = search.space
    points = [point_texts(space, point, names) for point in (search.begin, *search.best.values())]
    for name, parameter in space.parameters.items():
        when = " and ".join(
            f"{names.factor(other)} is "
            f"{' or '.join(names.bare_level(other, level) for level in wanted_levels(asked))}"
            for other, asked in (parameter.when or {}).items()
        )
        title = names.titled(name)
        yield ParameterRow(
            name=title,
            path=name if title != name else "",
            values=_values(space, name, names),
            when=when,
            points=tuple(point.get(name, UNKNOWN) for point in points),
        )


def _values(space: Space, name: str, names: Names) -> str:
    parameter = space.parameters[name]
    if parameter.choices is not None:
        return ", ".join(names.bare_level(name, level_name(choice)) for choice in parameter.choices)
    low, high = map(chosen_text, space.ends(name))
    step = f", in steps of {chosen_text(parameter.step)}" if parameter.step is not None else ""
    numbers = "whole numbers, " if space.kinds[name] == "int" else ""
    return f"{numbers}{low} to {high}{', log' if parameter.log else ''}{step}"


def _shrinkage(search: SearchFindings, one: Shrinkage) -> ShrinkageRow:
    objective, proof = one.objective, one.proof
    compared_by = objective.compared_by
    return ShrinkageRow(
        level=one.level,
        number=one.point.number,
        metric=objective.label,
        before=_value(search.begin, objective),
        value=_value(one.point, objective),
        seen=effect_text(one.seen, compared_by) if not math.isnan(one.seen) else UNKNOWN,
        proven=effect_text(proof.effect, compared_by) if proof is not None else UNKNOWN,
        interval=interval_text(proof.low, proof.high, compared_by) if proof is not None else "",
        verdict=badge(proof.verdict) if proof is not None else None,
    )


def _value(point: SearchedPoint, objective: Metric) -> str:
    value = point.median(objective)
    return UNKNOWN if math.isnan(value) else objective.format(value)


def _earlier(proof: EarlierProof) -> str:
    """`2026-11-30, run 6361-1: best (optimizer.lr 0.02174); proof confirmed`."""
    points = (
        f"{level} ({', '.join(f'{path} {_setting(value)}' for path, value in settings.items())})"
        for level, settings in proof.points.items()
    )
    verdicts = ", ".join(f"{claim} {verdict}" for claim, verdict in proof.verdicts.items()) or "not judged"
    return f"{proof.date[:10]}, run {proof.run}: {', '.join(points)}; {verdicts}"


def _setting(value: object) -> str:
    if value is None or isinstance(value, bool):
        return level_name(value)
    return chosen_text(value) if isinstance(value, int | float) else str(value)
