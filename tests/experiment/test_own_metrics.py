"""Tests of the metrics that are known while something is done for a study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.experiment.own_metrics import with_records
from harness.metrics import METRICS, known_metrics

RECORDS = {"wins": replace(METRICS["validation_loss"], name="wins")}


def test_records_are_known_only_while_an_item_is_made() -> None:
    def items() -> Iterator[bool]:
        yield "wins" in known_metrics()
        yield "wins" in known_metrics()

    read = []
    for known in with_records(RECORDS, items()):
        read.append(known)
        assert "wins" not in known_metrics()
    assert read == [True, True]
    assert "wins" not in known_metrics()
