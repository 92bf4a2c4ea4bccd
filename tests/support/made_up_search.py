"""Searches with invented values, without a store, and the reports of their proofs."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.analysis.results import Contrast
from harness.metrics import metric
from harness.report.inputs import ReportInput
from harness.search.findings import SearchFindings
from harness.search.points import PointState, SearchedPoint
from harness.store.rows import Chain, Run
from harness.study.names import Names
from harness.study.search import StudySearch
from harness.study.space import Space, choice_value
from tests.report.synthetic import contrast, study, synthetic_report
from tests.support.made_up_run import made_up_run

LR: dict[str, Any] = {"optimizer.lr": {"low": 1e-4, "high": 0.1, "log": True}}
MIXED: dict[str, Any] = {
    **LR,
    "optimizer": {"choices": [{"adamw": {"optimizer.kind": "adamw"}}, {"sgd": {"optimizer.kind": "sgd"}}]},
    "optimizer.momentum": {"low": 0.5, "high": 0.99, "when": {"optimizer": "sgd"}},
    "batch": {"low": 8, "high": 64, "step": 8},
    "model.tied": {"choices": [True, False]},
}
"""A range with `log`, a choice of groups, a parameter that exists only with one of them, whole numbers in
steps, and a choice of values.
"""

Ended = tuple[PointState, str]


def made_up_search(
    space: Mapping[str, Any],
    values: Callable[[Mapping[str, Any]], Sequence[float]],
    *,
    objectives: Sequence[str] = ("validation_loss",),
    points: int = 30,
    ended: Mapping[int, Ended] | None = None,
    **declared: Any,
) -> SearchFindings:
    """A search whose points are drawn at random. `values` gives the value of each objective at a point; an
    infinite one makes the point diverge. `ended` holds the points that ended otherwise, with the reason.
    """
    search = StudySearch.read({"space": dict(space), "objective": list(objectives), **declared})
    recorded, chance = Space.recorded(search.space), random.Random(5)
    asked = [_drawn(recorded, chance) for _ in range(points)]
    return SearchFindings(
        run=_run(),
        search=search,
        space=recorded,
        objectives=tuple(map(metric, objectives)),
        points=tuple(
            searched_point(
                number,
                recorded.names(point),
                {
                    name: (value,) * search.seeds
                    for name, value in zip(objectives, values(point), strict=True)
                },
            )
            if number not in (ended or {})
            else searched_point(number, recorded.names(point), {}, *(ended or {})[number])
            for number, point in enumerate(asked)
        ),
        chain=Chain(digests=("c" * 16,)),
    )


def searched_point(
    number: int,
    names: Mapping[str, str],
    values: Mapping[str, tuple[float, ...]],
    state: PointState = "complete",
    reason: str = "",
) -> SearchedPoint:
    if state == "complete" and any(math.isinf(value) for by_seed in values.values() for value in by_seed):
        state = "diverged"
    return SearchedPoint(
        number=number,
        names=names,
        spec_ids=(f"{number:016x}",),
        state=state,
        values=values,
        seconds=1.5 + number % 7,
        reason=reason,
    )


def _drawn(space: Space, chance: random.Random) -> dict[str, Any]:
    point: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        if not space.exists(name, point):
            continue
        if parameter.choices is not None:
            point[name] = chance.choice([choice_value(choice) for choice in parameter.choices])
        elif space.kinds[name] == "int":
            point[name] = chance.choice(list(space.values(name) or ()))
        else:
            low, high = space.ends(name)
            share = chance.random()
            point[name] = low * (high / low) ** share if parameter.log else low + (high - low) * share
    return point


def _run() -> Run:
    return made_up_run(
        "5ea2c45ea2c4-1",
        study="lr/search",
        study_digest="search1-" + "5" * 16,
        code_digest="c" * 16,
        environment_digest="e" * 16,
        created_at="2031-05-06T07:00:00+00:00",
    )


def names_of(search: SearchFindings, labels: Mapping[str, Any] | None = None) -> Names:
    """The names of the parameters, with labels as a study declares them."""
    return Names(study(claims={}, labels=dict(labels or {})), more=tuple(search.space.parameters))


def report_of_search(search: SearchFindings, **effects: tuple[float, float, float] | None) -> ReportInput:
    """The report of the proof of a search. `effects` are the effects with their intervals on the objectives,
    for every proven point; None is an invalid one.
    """
    levels = [{name: {"optimizer.lr": index + 1}} for index, name in enumerate(("baseline", *search.best))]
    bare = synthetic_report(
        study(study="lr/proof", compare={"point": levels}, across={}, claims={}, design={"rounds": 2}),
        steps=1,
    )
    contrasts = [
        _contrast(contrast(bare.loaded, bare, f"point={level}", {}), name, effect)
        for level in search.best
        for name, effect in effects.items()
    ]
    analysis = replace(bare.analysis, contrasts=tuple(contrasts), claims=())
    return replace(bare, analysis=analysis, search=search)


def _contrast(like: Contrast, name: str, effect: tuple[float, float, float] | None) -> Contrast:
    if effect is None:
        return replace(like, metric=name, verdict="invalid", reason="an invariant broke")
    value, low, high = effect
    return replace(like, metric=name, effect=value, low=low, high=high, verdict="undecided", reason="")
