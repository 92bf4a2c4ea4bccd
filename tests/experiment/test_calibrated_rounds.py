"""`design.rounds=calibrated`: the scatter of equal trials sets the number of rounds of parts that are paired
over rounds.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.experiment.calibrated_rounds import asks_calibration, recommended_rounds, with_calibrated_rounds
from harness.machine.calibration import Calibration, Limits, Scatter
from harness.store.rows import CalibrationRow
from tests.support.tiny_study import loaded


def test_only_the_number_of_rounds_can_be_calibrated() -> None:
    assert asks_calibration("design.rounds=calibrated")
    assert asks_calibration("parts.cost.design.rounds=calibrated")
    assert not asks_calibration("design.rounds=10")
    assert not asks_calibration("design.seeds=calibrated")


def test_calibrated_rounds_need_a_calibration() -> None:
    with pytest.raises(InputError, match="has not been calibrated"):
        with_calibrated_rounds(["design.rounds=calibrated"], [], None)


def calibrated(sigma: float) -> CalibrationRow:
    limits = Limits(
        matmul={"fp32": 1e11},
        read_bandwidth=1e10,
        copy_bandwidth=1e10,
        timer_step_ns=1.0,
        timer_call_ns=1.0,
        device="cpu",
        threads=1,
    )
    one = Scatter(
        metric="decode_tokens_per_second", family="time", sigma=sigma, rounds=10, run="r", primary=True
    )
    facts = Calibration(limits=limits, scatter=(one,), quick=False)
    return CalibrationRow(environment_digest="e", facts=facts.plain(), code_digest="c")


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.12])
def test_the_number_of_rounds_follows_the_scatter(tmp_path: Path, sigma: float) -> None:
    part, row = loaded(tmp_path), calibrated(sigma)
    recommendation = recommended_rounds(part, row)
    assert recommendation is not None
    assert recommendation.rounds == max(10, math.ceil(9 * sigma**2 / math.log1p(0.05) ** 2))
    settings = with_calibrated_rounds(["base.units=1", "design.rounds=calibrated"], [part], row)
    assert settings == ["base.units=1", f"design.rounds={recommendation.rounds}"]


def test_a_metric_that_is_paired_over_seeds_has_no_calibrated_rounds(tmp_path: Path) -> None:
    part = loaded(tmp_path)
    learned = replace(part, study=part.study.model_copy(update={"primary": "validation_loss"}))
    with pytest.raises(InputError, match="cannot set the rounds"):
        with_calibrated_rounds(["design.rounds=calibrated"], [learned], calibrated(0.05))
