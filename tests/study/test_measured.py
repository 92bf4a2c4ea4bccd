"""What is judged changes nothing that is measured, unless the next trials depend on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.study.measured import measured_content
from tests.support.tiny_study import loaded, tuned_study

LABELS = ("primary:", "labels: {cache: {label: memory, levels: {none: no}}}\nprimary:")
PRIMARY = ("primary: decode_tokens_per_second", "primary: tokens_per_second")
FINALISTS = ("1e-2]", "1e-2]\n    finalists: 3")
CLAIM = (
    "primary: validation_loss",
    "primary: validation_loss\n"
    + "claims: {it: {source: x, says: Better., level: {clip: 0.25}, direction: better}}",
)


@pytest.mark.parametrize(
    ("design", "counts"),
    [("rounds: 10}", False), ("rounds: 20, until: {width: 0.05}}", True)],
)
def test_the_primary_metric_is_measured_where_it_ends_the_rounds(
    tmp_path: Path, *, design: str, counts: bool
) -> None:
    change = ("rounds: 10}", design)
    one, other = (measured_content(loaded(tmp_path, change, *more)) for more in ((), (PRIMARY,)))
    assert (one != other) is counts


@pytest.mark.parametrize(("patches", "counts"), [((), False), ((FINALISTS,), True)])
def test_a_claim_is_measured_where_it_names_a_finalist(
    tmp_path: Path, *, patches: tuple[tuple[str, str], ...], counts: bool
) -> None:
    one, other = (measured_content(tuned_study(tmp_path, *patches, *more)) for more in ((), (CLAIM,)))
    assert (one != other) is counts


def test_labels_measure_nothing(tmp_path: Path) -> None:
    one, other = (loaded(tmp_path, *patches) for patches in ((), (LABELS,)))
    assert measured_content(one) == measured_content(other)
    assert one.task_digests == other.task_digests
    assert [arm.name for arm in one.arms] == [arm.name for arm in other.arms]
    assert other.label("cache=none") == "memory no"
