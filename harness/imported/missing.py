"""What a file of results cannot show, and what of it was left out: it stands beside every verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from harness.imported.columns import Columns
from harness.imported.comparisons import ArmComparison, pair_order
from harness.imported.values import NO_NUMBERS, FileValues
from harness.study.schema import WIDEST_MARGIN
from harness.wording import count

_SHOWN = 5


class Missing(NamedTuple):
    """What is missing, in two or three words, and what it means here."""

    what: str
    meaning: str


def missing(
    values: FileValues, columns: Columns, comparisons: Sequence[ArmComparison], baseline: str
) -> tuple[Missing, ...]:
    """Everything that a study of the harness would know, or would have refused."""
    return (
        Missing(
            "not randomised",
            "nothing shows that the order of the trials, or which trial got which arm, was drawn at random",
        ),
        Missing(
            "declared after the data",
            "the metrics, the baseline, the directions and the margins were chosen after the values existed; "
            "with enough choices something always comes out",
        ),
        Missing(
            "parity unknown",
            "nothing shows that the arms did equal work on equal data, with the same code and machine",
        ),
        Missing(
            "order unknown",
            "nothing shows in which order the trials ran, so a drift of the machine may look like an effect",
        ),
        *_unpaired(values, columns, baseline),
        *_duplicates(values),
        *_metrics(values, comparisons),
    )


def _unpaired(values: FileValues, columns: Columns, baseline: str) -> Iterator[Missing]:
    pairs: dict[str, set[str]] = {}
    for arm, pair in values.trials:
        pairs.setdefault(arm, set()).add(pair)
    for arm, having in pairs.items():
        if arm == baseline:
            continue
        for name, alone in ((arm, having - pairs[baseline]), (baseline, pairs[baseline] - having)):
            if alone:
                other = baseline if name == arm else arm
                yield Missing(
                    "unpaired",
                    f"{count(len(alone), columns.paired_by)} of {name!r} left out, because {other!r} lacks "
                    f"{'it' if len(alone) == 1 else 'them'}: {_some(sorted(alone, key=pair_order))}; "
                    "if those trials failed, the others are a selection",
                )


def _duplicates(values: FileValues) -> Iterator[Missing]:
    """Trials of one arm that agree in every metric. Where the digits prove a copy, the comparison is
    `invalid` as well.
    """
    seen: dict[tuple[object, ...], int] = {}
    copies = []
    for (arm, pair), line in values.trials.items():
        row = (arm, *(by_trial[arm, pair].value for by_trial in values.values.values()))
        if row in seen:
            copies.append(f"{seen[row]} and {line}")
        seen.setdefault(row, line)
    if copies:
        yield Missing(
            "duplicates",
            f"trials of one arm have equal values in every metric (lines {_some(copies)}); if they are "
            "copies, they count too often",
        )


def _metrics(values: FileValues, comparisons: Sequence[ArmComparison]) -> Iterator[Missing]:
    for name, why in values.left_out.items():
        if why != NO_NUMBERS:
            yield Missing("metric left out", f"{name!r} {why}")
    decided = {one.metric for one in comparisons if one.better != "neither"}
    if len(decided) > 1:
        yield Missing(
            "several metrics",
            f"each of {len(decided)} metrics is a family of its own, wrong by chance in up to 5 % of all "
            "files; say beforehand which one decides",
        )
    for one in {one.metric: one for one in comparisons}.values():
        usual = 0.05 if one.record.timed else 0.01
        if one.record.compared_by == "ratios" and one.numbers.margin > WIDEST_MARGIN * usual:
            yield Missing(
                "wide margin",
                f"the margin of {one.metric!r} is more than {WIDEST_MARGIN:g} times the usual one, so "
                "more counts as equivalent",
            )


def _some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
