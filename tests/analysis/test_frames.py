"""Raw samples become one value per trial: by the same rule wherever that value is used."""

from __future__ import annotations

import io
import math
import statistics
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.analysis.frames import SAMPLE_COLUMNS, run_frames, trial_values, without_formulas
from harness.metrics import METRICS, Metric
from harness.store.rows import CalibrationRow
from harness.store.store import Store, open_store
from tests.support.clock import JUMPS, set_clock
from tests.support.hostile_texts import HOSTILE_TEXTS
from tests.support.stored_run import create, finish
from tests.support.stored_run import trial as planned_trial

MEDIAN, LARGEST = METRICS["update_seconds"], METRICS["peak_rss_bytes"]
NAMES = ("update_seconds", "peak_rss_bytes", "validation_loss", "new_tokens")

numbers = st.floats() | st.sampled_from([0.0, 1.0, 2.0, math.nan])
samples = st.dictionaries(
    st.tuples(st.integers(1, 4), st.sampled_from(NAMES), st.integers(0, 6)), numbers, min_size=1
)


def frame(rows: dict[tuple[int, str, int], float]) -> pd.DataFrame:
    """Samples by trial, metric and step, in the order in which they come."""
    table = [
        {
            "trial": trial,
            "purpose": "measure",
            "task": "train",
            "arm": "ab"[trial % 2],
            "condition": "{}",
            "seed": trial // 2,
            "round": -trial,
            "position": 1,
            "session": 1,
            "metric": name,
            "step": step,
            "value": value,
            "unit": METRICS[name].unit,
        }
        for (trial, name, step), value in rows.items()
    ]
    return pd.DataFrame(table, columns=SAMPLE_COLUMNS).astype({"value": float})


@given(samples)
def test_tuning_and_verdicts_see_the_same_value_of_a_trial(rows: dict[tuple[int, str, int], float]) -> None:
    by_trial: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (trial, name, _), value in sorted(rows.items(), key=lambda row: row[0]):
        by_trial[trial][name].append(value)
    analysed = trial_values(frame(rows))
    assert len(analysed) == sum(map(len, by_trial.values()))
    for row in analysed.itertuples():
        sampled = by_trial[row.trial]  # type: ignore[index]
        decided = METRICS[row.metric].of_trial(sampled[row.metric])  # type: ignore[index]
        assert row.value == pytest.approx(decided, rel=0, abs=0, nan_ok=True)
        assert row.samples == len(sampled[row.metric])  # type: ignore[index]


@given(st.lists(numbers, min_size=1))
@example([2.0**1023, 2.0**1023])
@example([math.inf, -math.inf])
def test_a_trial_has_one_value_by_the_rule_of_the_metric(values: list[float]) -> None:
    def value(record: Metric) -> object:
        return pytest.approx(record.of_trial(values), rel=0, abs=0, nan_ok=True)

    unknown = any(map(math.isnan, values))
    low, high = statistics.median_low(values), statistics.median_high(values)
    median = low if low == high else (low + high) / 2  # the sum of two equal huge values overflows
    assert value(MEDIAN) == (math.nan if unknown else median)
    assert value(LARGEST) == (math.nan if unknown else max(values))
    assert value(METRICS["validation_loss"]) == values[-1]


def test_no_samples_give_no_values() -> None:
    assert trial_values(frame({})).empty


@pytest.mark.parametrize("days", [0, *JUMPS])
def test_the_calibration_before_a_run_counts_whatever_the_clock_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    def calibrate(store: Store, flops: float) -> None:
        facts = {"limits": {"matmul": {"fp32": flops}}}
        store.record_calibration(
            CalibrationRow(environment_digest=run.environment_digest, facts=facts, code_digest="c")
        )

    with open_store(tmp_path / "harness.db") as store:
        run = create(store, trials=[planned_trial()])
        set_clock(monkeypatch, days)
        calibrate(store, 1e9)
        monkeypatch.undo()
        finish(store, run, planned_trial())
        set_clock(monkeypatch, -days)
        calibrate(store, 2e9)
        assert run_frames(store, run).calibrated_flops == {"fp32": 1e9}


def test_a_spreadsheet_computes_nothing_from_a_csv() -> None:
    formulas = [HOSTILE_TEXTS["formula"], "+1+1", "-2+3", "@SUM(A1)", "\tx", "\rx", "=1"]
    texts = ["cache=none", "-0.5", "+1e5", "-1", "a=b", "", "'x"]
    frame = pd.DataFrame({"arm": [*formulas, *texts], "value": -1.5, "step": range(14)})
    safe = without_formulas(frame)
    assert list(safe["arm"]) == [*(f"'{text}" for text in formulas), *texts]
    assert safe[["value", "step"]].equals(frame[["value", "step"]])
    read = pd.read_csv(io.StringIO(safe.to_csv(index=False)), keep_default_na=False)
    assert [text for text in read["arm"] if text[:1] in ("=", "@")] == []
