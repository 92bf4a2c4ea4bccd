import base64
import gzip
import io
import math
from dataclasses import replace

import pandas as pd
import pytest

from harness.metrics import METRICS
from harness.report.inputs import ReportSamples
from harness.report.sections import samples
from harness.report.sections.samples import csv_link, samples_view
from tests.report.synthetic import frame_of, study, synthetic_report, with_trials


def decode(href: str) -> str:
    head, _, body = href.partition(",")
    assert head == "data:application/gzip;base64"
    return gzip.decompress(base64.b64decode(body, validate=True)).decode()


def test_the_csv_reads_back_to_the_same_frame() -> None:
    frame = frame_of(synthetic_report(study(design={"rounds": 2}), steps=1))
    frame.loc[0, "value"], frame.loc[1, "value"] = math.inf, 0.1 + 0.2
    link = csv_link(frame, name="samples.csv")
    again = pd.read_csv(io.StringIO(decode(link.href)), keep_default_na=False)
    assert (link.rows, link.total) == (len(frame), len(frame))
    assert list(again["value"]) == list(frame["value"])
    assert list(again["condition"]) == list(frame["condition"])
    assert list(again.columns) == list(frame.columns)


def test_a_long_csv_is_cut_after_a_whole_row_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = frame_of(synthetic_report(study(design={"rounds": 2}), steps=1))
    monkeypatch.setattr(samples, "MOST_CSV_BYTES", 2_000)
    link = csv_link(frame, name="samples.csv")
    text = decode(link.href)
    assert len(text) <= 2_000
    assert text.endswith("\n")
    assert 0 < link.rows == text.count("\n") - 1 < link.total == len(frame)


def test_tables_keep_every_digit_and_repeated_samples() -> None:
    report = synthetic_report(study(design={"rounds": 1}, across={}, claims={}), steps=1)
    frame = frame_of(report)
    twice = frame[frame["arm"] == "cache=static"].assign(value=0.1 + 0.2)
    both = ReportSamples.from_frame(pd.concat([frame, twice], ignore_index=True))
    view = samples_view(replace(report, samples=both))
    static = view.groups[0].tables[2]
    assert static.title.text == "cache=static"
    assert [row[:3] for row in static.rows] == [("1", "0", "0"), ("1", "0", "0")]
    assert set(static.rows[1][3:]) == {"0.30000000000000004"}


def test_too_many_samples_become_the_values_with_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    report = with_trials(synthetic_report(study(design={"rounds": 2}), steps=3))
    raw = samples_view(report)
    assert (raw.by_trial, raw.shown, raw.total) == (False, 72, 72)
    monkeypatch.setattr(samples, "MOST_NUMBERS", 72 * 8 - 1)
    view = samples_view(report)
    assert (view.by_trial, view.csv, view.shown, view.total) == (True, None, 24, 24)
    assert view.samples == len(frame_of(report)) == 72 * 8
    assert [table.title for group in view.groups for table in group.tables] == [
        table.title for group in raw.groups for table in group.tables
    ]
    frame = frame_of(report)
    for table in (table for group in view.groups for table in group.tables):
        assert table.keys == ("round", "seed", "trial", "samples")
        for _, _, trial, number, *values in table.rows:
            mine = frame[frame["trial"] == int(trial.removeprefix("t2-"), 16)]
            assert int(number) == len(mine)
            for name, value in zip(table.metrics, values, strict=True):
                [record] = [record for record in METRICS.values() if record.label == name]
                measured = mine.loc[mine["metric"] == record.name, "value"]
                assert float(value) == record.of_trial(measured.tolist())
    assert view.export == "harness export kv_cache --scale cpu"


def test_rows_of_trials_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MOST_NUMBERS", 5 * 8 + 7)
    view = samples_view(with_trials(synthetic_report(study(design={"rounds": 2}), steps=1)))
    assert (view.by_trial, view.shown, view.total) == (True, 5, 24)
    assert sum(len(table.rows) for group in view.groups for table in group.tables) == 5
