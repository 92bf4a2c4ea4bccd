"""Whether the labels of a study belong to something, and tell factors and levels apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from harness.errors import did_you_mean
from harness.study.levels import level_name
from harness.study.loaded import LoadedStudy
from harness.study.reading.yaml_document import Document, KeyPath


def check_labels(loaded: Sequence[LoadedStudy], document: Document) -> None:
    """Raises StudyError for a label of a factor or of a level that no part has at any scale, and for two
    equal labels.

    `loaded` are the parts of the study at all scales: a scale may leave out what has a label.
    """
    levels = _levels(loaded)
    for one in loaded:
        labels = one.study.labels
        _check_distinct(document, ("labels",), (label.label for label in labels.values()), "factors")
        for factor, label in labels.items():
            path = ("labels", factor)
            if factor not in levels:
                raise document.error(
                    path, f"labels: there is no factor {factor!r}", hint=did_you_mean(factor, levels)
                )
            for level in label.levels:
                if level not in levels[factor]:
                    raise document.error(
                        (*path, "levels", level),
                        f"labels: {factor} has no level {level!r}",
                        hint=did_you_mean(level, levels[factor]),
                    )
            shown = [label.levels.get(level, level) for level in levels[factor]]
            _check_distinct(document, path, shown, f"levels of {factor}")


def _levels(loaded: Iterable[LoadedStudy]) -> dict[str, list[str]]:
    """Factor, or setting that is tuned or searched → the names of all its levels. A range of values has no
    names.
    """
    levels: dict[str, list[str]] = {}
    for one in loaded:
        for factors in (one.study.compare, one.study.across):
            for factor, listed in factors.items():
                known = levels.setdefault(factor, [])
                known += [name for name in map(level_name, listed) if name not in known]
        for path in one.study.design.tune.settings if one.study.design.tune else ():
            levels.setdefault(path, [])
        for path, parameter in one.study.search.space.items() if one.study.search else ():
            known = levels.setdefault(path, [])
            known += [name for name in map(level_name, parameter.choices or ()) if name not in known]
    return levels


def _check_distinct(document: Document, path: KeyPath, labels: Iterable[str | None], noun: str) -> None:
    for label, number in Counter(labels).items():
        if label is not None and number > 1:
            raise document.error(
                path, f"labels: two {noun} have the label {label!r}", hint="change one of them"
            )
