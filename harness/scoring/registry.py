"""All scores by name: every module of `harness.scoring.scores` is listed. No scorer is imported."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import MappingProxyType

from numpy.typing import ArrayLike

from harness.errors import InputError, did_you_mean
from harness.scoring import scores
from harness.scoring.score import Formula, TextScores, sentence_statistics
from harness.scoring.texts import WrittenTexts
from harness.statistics import SentenceStatistics

_MODULES: tuple[TextScores, ...] = tuple(
    import_module(module.name).SCORES
    for module in pkgutil.iter_modules(scores.__path__, f"{scores.__name__}.")
)

FORMULAS: MappingProxyType[str, Formula] = MappingProxyType(
    {name: formula for module in _MODULES for name, formula in module.formulas.items()}
)
"""The scores that have statistics per sentence."""

SCORE_NAMES = (*FORMULAS, *(name for module in _MODULES for name in module.figures))


def statistics_by_score(texts: WrittenTexts) -> dict[str, SentenceStatistics]:
    """The statistics of every score that has statistics per sentence.

    Raises InputError if there are fewer than two texts, or if a text cannot be scored.
    """
    return {statistics.metric: statistics for module in _MODULES for statistics in module.compute(texts)}


def corpus_scores(texts: WrittenTexts, statistics: dict[str, SentenceStatistics]) -> dict[str, float]:
    """Every score of all texts together. `statistics` is the result of `statistics_by_score`."""
    figures = {name: figure(texts) for module in _MODULES for name, figure in module.figures.items()}
    return {name: values.corpus_score for name, values in statistics.items()} | figures


def stored_score(
    metric: str, signature: str, values: ArrayLike, *, texts: tuple[str, ...] = ()
) -> SentenceStatistics:
    """The statistics of a score, from their stored values. `texts` names the text of each sentence.

    Raises InputError if there is no such score, and ValueError if the values are not finite.
    """
    try:
        formula = FORMULAS[metric]
    except KeyError:
        raise InputError(f"unknown score {metric!r}", hint=did_you_mean(metric, FORMULAS)) from None
    return sentence_statistics(metric, signature, values, formula, texts)
