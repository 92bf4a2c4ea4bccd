"""All scores by name: the modules of `harness.scoring.scores`, and what plug-ins add. No library of scores is
imported.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from numpy.typing import ArrayLike

from harness.errors import InputError, did_you_mean
from harness.plugins import RefusedError, Registry
from harness.scoring import scores
from harness.scoring.score import Formula, TextScores, sentence_statistics
from harness.scoring.texts import WrittenTexts
from harness.statistics import SentenceStatistics

_SHIPPED: Mapping[str, TextScores] = {
    module.name.rpartition(".")[2]: import_module(module.name).SCORES
    for module in pkgutil.iter_modules(scores.__path__, f"{scores.__name__}.")
}


def _score_names(modules: Iterable[TextScores]) -> tuple[str, ...]:
    """Those with statistics per sentence come first."""
    listed = tuple(modules)
    with_statistics = [name for module in listed for name in module.formulas]
    return (*with_statistics, *(name for module in listed for name in module.figures))


def _named(name: str, value: Any) -> tuple[str, TextScores] | None:
    if not isinstance(value, TextScores):
        return None
    if taken := set(SCORE_NAMES).intersection(_score_names([value])):
        raise RefusedError(f"the harness itself has the score {min(taken)!r}")
    return name, value


SCORE_NAMES = _score_names(_SHIPPED.values())
"""The scores that ship."""

SCORES: Registry[TextScores] = Registry("scores", _SHIPPED, "a TextScores", _named)
"""Scores that are computed together, by the name of their module."""


def added_scores() -> tuple[str, ...]:
    """The names of the scores of plug-ins."""
    return _score_names(SCORES.added().values())


def formulas() -> dict[str, Formula]:
    """The formula of each score that has statistics per sentence."""
    return {name: formula for module in SCORES.values() for name, formula in module.formulas.items()}


def statistics_by_score(texts: WrittenTexts) -> dict[str, SentenceStatistics]:
    """The statistics of every score that has statistics per sentence.

    Raises InputError if there are fewer than two texts, or if a text cannot be scored.
    """
    modules = SCORES.values()
    return {statistics.metric: statistics for module in modules for statistics in module.compute(texts)}


def corpus_scores(texts: WrittenTexts, statistics: dict[str, SentenceStatistics]) -> dict[str, float]:
    """Every score of all texts together. `statistics` is the result of `statistics_by_score`."""
    figures = {name: figure(texts) for module in SCORES.values() for name, figure in module.figures.items()}
    return {name: values.corpus_score for name, values in statistics.items()} | figures


def stored_score(
    metric: str, signature: str, values: ArrayLike, *, texts: tuple[str, ...] = ()
) -> SentenceStatistics:
    """The statistics of a score, from their stored values. `texts` names the text of each sentence.

    Raises InputError if there is no such score, and ValueError if the values are not finite.
    """
    known = formulas()
    if metric not in known:
        raise InputError(f"unknown score {metric!r}", hint=did_you_mean(metric, known))
    formula = known[metric]
    return sentence_statistics(metric, signature, values, formula, texts)
