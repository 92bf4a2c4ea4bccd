"""The digests of what attempts recorded: they stay what they are, however their rows are read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.store.content import PartDigests, recorded_content
from harness.store.engine import reading
from harness.store.rows import Run, Session
from harness.store.store import Store
from harness.trial.outcome import Sample
from harness.trial.spec import TrialSpec
from tests.store.test_chain import LOOK, outcome

DIGESTS = {
    "checks": "bb7c8381e87a8795",
    "samples": "e9819d931e9cb503",
    "sentences": "9371119b8b196a86",
    "telemetry": "50630865149926b3",
    "trial": "73c8a73e6201a046",
}
"""As the first version with digests made them. Every store with a chain holds such digests."""


@pytest.fixture
def attempt_id(store: Store, run: Run, session: Session, spec: Callable[[int], TrialSpec]) -> int:
    """An attempt with values that databases treat in their own ways, and with metrics whose columns are not
    in the order of the metrics.
    """
    begun = store.begin_trial(run, session, spec(0), position=0)
    pairs = ((-3, 0.5), (2**40, math.nan))
    more = [Sample(name, step, value) for name in ("a b", "a", "a steps") for step, value in pairs]
    looks = [LOOK, replace(LOOK, cpu_percent=50.0, cpu_mhz=None), LOOK]
    measured = outcome(0)
    store.finish_trial(
        begun, replace(measured, samples=(*measured.samples, *more)), seconds=1.25, telemetry=looks
    )
    return begun


def content_of(store: Store, attempt_id: int) -> PartDigests:
    with reading(store._engine) as connection:
        return recorded_content(connection, [attempt_id])[attempt_id]


def read_in_pieces(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Let no more rows than these be in memory together."""
    for name in ("content.AT_ONCE", "content.WIDE_AT_ONCE", "pieces.AT_ONCE"):
        monkeypatch.setattr(f"harness.store.{name}", at_once)


def test_digests_stay_what_they_are(store: Store, attempt_id: int) -> None:
    digests = content_of(store, attempt_id)
    assert len(digests.pop("record")) == 16  # it covers the time
    assert digests == DIGESTS


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_rows_that_are_read_in_pieces_have_the_same_digests(
    store: Store, run: Run, attempt_id: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in_pieces(monkeypatch, at_once)
    assert content_of(store, attempt_id).items() >= DIGESTS.items()
    assert store.chain(run).problems == ()


def test_an_edit_is_noticed_in_whichever_piece_it_is(
    store: Store, run: Run, attempt_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in_pieces(monkeypatch, 2)
    for column, change in (
        ("samples", "value = 4.0 WHERE metric = 'loss' AND step = 5"),
        ("telemetry", "load = 9.0"),
    ):
        with store._engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE {column} SET {change}")
        assert f"the {column} of attempts changed: {attempt_id}" in " ".join(store.chain(run).problems)
