"""Metrics and conditions are chosen by name, and mistakes are refused."""

from __future__ import annotations

import pandas as pd
import pytest

from harness.cli.exports.chosen import Chosen
from harness.errors import InputError
from tests.report.synthetic import synthetic_report


def test_a_level_may_contain_an_equals_sign() -> None:
    assert Chosen.from_options(["loss"], ["rule=a=b"]) == Chosen(metrics=("loss",), at={"rule": "a=b"})


@pytest.mark.parametrize(
    ("metrics", "at", "message"),
    [
        (["decode_tokens_per_secon"], [], "the run has no metric 'decode_tokens_per_secon'"),
        ([], ["new_token=16"], "the run has no condition 'new_token'"),
        ([], ["new_tokens=17"], "the condition 'new_tokens' has no level '17'"),
    ],
)
def test_what_the_run_has_not_is_refused_with_a_suggestion(
    metrics: list[str], at: list[str], message: str
) -> None:
    with pytest.raises(InputError) as refusal:
        Chosen.from_options(metrics, at).check([synthetic_report()])
    assert refusal.value.message == message
    assert refusal.value.hint


@pytest.mark.parametrize("text", ["new_tokens", "=16"])
def test_a_condition_needs_a_factor_and_a_level(text: str) -> None:
    with pytest.raises(InputError, match="is not a condition"):
        Chosen.from_options([], [text])


def test_samples_of_other_metrics_and_conditions_are_left_out() -> None:
    samples = pd.DataFrame({"metric": ["a", "a", "b", "a"], "n": [16, 64, 16, None], "value": range(4)})
    chosen = Chosen(metrics=("a",), at={"n": "16"})
    numbers = samples.astype({"n": "Int64"})
    assert list(chosen.rows(numbers)["value"]) == [0]
    assert list(chosen.rows(numbers.astype({"n": "string"}))["value"]) == [0]
