"""Metric records: what every one must have, and how values are written for people."""

from __future__ import annotations

import math

import pytest

from harness.errors import InputError
from harness.metrics import DEFAULT_MARGINS, METRICS, Metric, metric
from harness.scoring.registry import formulas
from harness.tasks.registry import TASKS


@pytest.mark.parametrize("record", METRICS.values(), ids=METRICS)
def test_a_record_agrees_with_itself(record: Metric) -> None:
    assert METRICS[record.name] is record
    assert record.margin_group in DEFAULT_MARGINS
    assert record.label == record.title or (
        not record.title and record.label == record.name.replace("_", " ")
    )
    assert not record.summary.endswith(".")
    assert (record.unit == "s") == record.name.endswith("_seconds")
    assert (record.unit == "tokens/s") == record.name.endswith(
        "_tokens_per_second"
    ) or record.name == "tokens_per_second"
    assert ("bytes" in record.name) == (record.unit == "B")
    assert (record.paired_over == "sentences") == (record.name in formulas())
    assert record.timed == (
        record.margin_group == "energy"
        or record.name in ("mfu", "bubble_share")
        or record.unit.removesuffix("/s") != record.unit
        or record.unit == "s"
    )
    assert not (record.exact and record.margin), "an exact metric needs no margin"
    if record.unit == "tokens/s":
        assert (record.better, record.timed, record.per_trial) == ("higher", True, "median")


@pytest.mark.parametrize("group", DEFAULT_MARGINS)
def test_a_study_can_declare_one_margin_for_a_group(group: str) -> None:
    members = [record for record in METRICS.values() if record.margin_group == group]
    assert group not in METRICS or METRICS[group].margin_group == group
    assert len({(record.margin, record.margin_in_points) for record in members}) == 1


@pytest.mark.parametrize(
    ("name", "compared_by", "paired_over", "exact", "margin", "better"),
    [
        ("cache_bytes", "ratios", "rounds", True, 0.0, "lower"),
        ("peak_rss_bytes", "ratios", "rounds", False, 0.02, "lower"),
        ("update_seconds", "ratios", "rounds", False, 0.05, "lower"),
        ("mfu", "ratios", "rounds", False, 0.05, "higher"),
        ("gpu_joules_per_token", "ratios", "rounds", False, 0.05, "lower"),
        ("validation_loss", "ratios", "seeds", False, 0.01, "lower"),
        ("gradient_norm", "differences", "seeds", False, 0.0, "neither"),
        ("learning_rate", "differences", "seeds", False, 0.0, "neither"),
        ("log_z", "differences", "seeds", False, 0.0, "neither"),
        ("zero_gradients", "differences", "seeds", False, 0.005, "lower"),
        ("bleu", "differences", "sentences", False, 0.5, "higher"),
        ("rougeL", "differences", "sentences", False, 0.005, "higher"),
        ("perplexity_per_byte", "ratios", "sentences", False, 0.01, "neither"),
    ],
)
def test_the_policy_is_on_the_record(
    name: str, compared_by: str, paired_over: str, *, exact: bool, margin: float, better: str
) -> None:
    record = METRICS[name]
    assert (record.compared_by, record.paired_over, record.exact) == (compared_by, paired_over, exact)
    assert (record.margin, record.better) == (margin, better)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_metric_of_a_task_has_a_record(task: type) -> None:
    assert set(task.metrics) <= set(METRICS)  # type: ignore[attr-defined]


def test_margins_are_those_of_the_design() -> None:
    assert dict(DEFAULT_MARGINS) == {
        "time": 0.05,
        "bubble": 0.1,
        "energy": 0.05,
        "memory": 0.02,
        "bytes": 0.0,
        "loss": 0.01,
        "score": 0.5,
        "share": 0.005,
        "perplexity": 0.01,
        "count": 0.0,
    }


def test_an_unknown_metric_gets_a_suggestion() -> None:
    with pytest.raises(InputError) as caught:
        metric("cache_byte")
    assert (
        str(caught.value)
        == "unknown metric 'cache_byte'; did you mean 'cache_bytes' or 'cache_bytes_formula'?"
    )


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("decode_tokens_per_second", 1234.5, "1,234 tokens/s"),
        ("decode_tokens_per_second", 99.876, "99.88 tokens/s"),
        ("validation_loss", 3.14159, "3.142 nats/token"),
        ("validation_loss", math.inf, "diverged"),
        ("validation_loss", math.nan, "diverged"),
        ("gradient_norm", 0.5, "0.5"),
        ("validation_perplexity", 1.3268e54, "1.327e+54"),
        ("cache_bytes", 49152.0, "48 KiB"),
        ("first_token_seconds", 0.0061, "6.1 ms"),
        ("first_token_seconds", math.nan, "nan"),
    ],
)
def test_a_value_is_written_with_its_unit(name: str, value: float, text: str) -> None:
    assert METRICS[name].format(value) == text
