"""Series are reduced while they are read: means over equal windows, and the first seeds if there are too many
samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.report import series
from harness.report.series import read_series, reduced
from tests.report.synthetic import trial_row


@dataclass
class Samples:
    """The samples of each trial by metric, read one group of two trials after the other."""

    by_metric: dict[str, dict[int, list[float]]]

    def measurements(self, metric: str, counts: dict[int, int]) -> Any:
        ids = sorted(counts)
        for start in range(0, len(ids), 2):
            group = ids[start : start + 2]
            values = [np.array(self.by_metric[metric][one]) for one in group]
            yield group, np.concatenate([np.arange(len(one)) for one in values]), np.concatenate(values)


def frames_of(by_metric: dict[str, dict[int, list[float]]], **changes: Any) -> Any:
    ids = sorted({trial for by_trial in by_metric.values() for trial in by_trial})
    rows = [trial_row(one, task="train", seed=one, **changes) for one in ids]
    counts = {
        name: {one: len(values) for one, values in samples.items()} for name, samples in by_metric.items()
    }
    return SimpleNamespace(trials=tuple(rows), counts=counts, store=Samples(by_metric))


def test_a_point_is_the_mean_of_its_window_and_stands_at_its_last_update() -> None:
    one = reduced(3, np.array([0, 1, 2, 3, 4]), np.array([1.0, 3.0, 5.0, 7.0, 100.0]), window=2)
    assert one.updates.tolist() == [2, 4, 5]
    assert one.values.tolist() == [2, 6, 100]
    total = reduced(3, np.array([0, 1, 2]), np.array([1.0, 3.0, 5.0]), window=2, total=True)
    assert total.values.tolist() == [4, 9]


def test_long_series_have_few_points_and_all_trials_the_same_window() -> None:
    losses = {1: list(map(float, range(1000))), 2: [0.0] * 10, 3: [1.0] * 1000}
    (loss,) = read_series(frames_of({"loss": losses})).series
    assert loss.window == 13
    assert [len(one.values) for one in loss.trials] == [77, 1, 77]
    assert loss.trials[0].values[0] == 6


@pytest.mark.parametrize(("trials", "points"), [(3, 80), (48, 50), (200, 40)])
def test_the_more_trials_there_are_the_fewer_points_each_has(trials: int, points: int) -> None:
    losses = {one: list(map(float, range(2_400))) for one in range(1, trials + 1)}
    (loss,) = read_series(frames_of({"loss": losses})).series
    assert {len(one.values) for one in loss.trials} == {points}


def test_series_keep_their_order_and_what_is_not_drawn_is_named() -> None:
    extra = {f"auxiliary_loss_{letter}": {1: [1.0, 2.0]} for letter in "abcdefgh"}
    metrics = {"validation_loss": {1: [1.0, 2.0]}, "loss": {1: [3.0, 2.0]}, "late_loss_spread": {1: [1.0]}}
    recorded = read_series(frames_of(extra | metrics))
    assert [one.metric for one in recorded.series][:2] == ["loss", "validation_loss"]
    assert len(recorded.series) == series.MOST_SERIES
    assert recorded.not_drawn == ("auxiliary_loss_g", "auxiliary_loss_h")


def test_seconds_are_summed_over_the_updates() -> None:
    recorded = read_series(frames_of({"loss": {1: [3.0, 2.0]}, "update_seconds": {1: [0.5, 0.25]}}))
    assert recorded.seconds[1].values.tolist() == [0.5, 0.75]


def test_too_many_samples_leave_out_the_last_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MOST_SAMPLES", 25)
    (loss,) = read_series(frames_of({"loss": {seed: [1.0] * 10 for seed in range(4)}})).series
    assert [one.trial for one in loss.trials] == [0, 1]
    assert loss.seeds_left_out == 2


def test_tuning_and_trials_that_failed_have_no_series() -> None:
    samples = {"loss": {1: [3.0, 2.0]}}
    assert read_series(frames_of(samples, purpose="tune")).series == ()
    assert read_series(frames_of(samples, state="failed")).series == ()
