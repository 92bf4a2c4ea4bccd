import json
from dataclasses import replace

import pytest

from harness.report.inputs import ReportInput
from harness.report.labels import metric_of
from harness.report.sections import trials
from harness.report.sections.trials import TrialGroup, TrialsView, trial_anchors, trials_view
from tests.report.synthetic import study, synthetic_report, with_trials

SHORT = {"across": {}, "claims": {}, "compare": {"cache": ["none", "static"]}, "design": {"rounds": 3}}


def small() -> ReportInput:
    return with_trials(synthetic_report(study(**SHORT)), started_at="2031-05-06T07:08:09Z")


def viewed(report: ReportInput) -> TrialsView:
    view = trials_view(report)
    assert view is not None
    return view


def texts(group: TrialGroup, number: int) -> dict[str, str]:
    """The cells of a trial by the name of their column."""
    [trial] = [trial for trial in group.trials if trial.number == number]
    names = [column.name for column in group.columns]
    return dict(zip(names, (cell.text for cell in trial.cells), strict=True))


def test_a_group_has_a_row_for_each_trial_and_a_column_for_each_value() -> None:
    report = small()
    view = viewed(report)
    assert (view.shown, view.total) == (6, 6)
    assert [group.title for group in view.groups] == [
        report.loaded.label(arm.name) for arm in report.loaded.arms
    ]
    measured = report.samples.measured
    for group in view.groups:
        assert group.samples == "samples-1"
        assert {column.note for column in group.columns if column.note} == {"3 samples", "UTC"}
        for trial in group.trials:
            values = measured[measured["trial"] == trial.number].set_index("metric")["value"]
            names = [column.name for column in group.columns]
            shown = {name: cell.value for name, cell in zip(names, trial.cells, strict=True) if cell.value}
            assert {name: float(value) for name, value in shown.items()} == {
                metric_of(str(name)).label: value for name, value in values.items()
            }
    [group] = [group for group in view.groups if group.title == report.loaded.label(report.trials[0].arm)]
    row = texts(group, 1)
    assert row["id"] == "t2-0000000000000001"
    assert row["began"] == "2031-05-06 07:08:09"
    assert row["round"] == "1"
    assert row["telemetry"].startswith("4 observations; resident memory up to 381.6 MiB; CPU 98 % (median)")
    assert "attempt" not in row
    assert "record" not in row


def test_numbers_of_samples_that_differ_stand_in_the_cells() -> None:
    report = small()
    measured = report.samples.measured.copy()
    measured.loc[measured["trial"] == 1, "samples"] = 2
    view = viewed(replace(report, samples=replace(report.samples, measured=measured)))
    [group] = [group for group in view.groups if any(trial.number == 1 for trial in group.trials)]
    label = metric_of("cache_bytes").label
    assert texts(group, 1)[label].endswith("(2 samples)")
    assert {column.note for column in group.columns if column.name == label} == {""}


def test_what_all_trials_of_a_group_recorded_stands_there_once() -> None:
    report = small()
    rows = tuple(
        replace(row, spent={"updates": 7}, notes={"threads": 2, "steady": row.round != 2})
        for row in report.trials
    )
    view = viewed(replace(report, trials=rows))
    for group in view.groups:
        assert group.recorded == (("work: updates", "7"), ("threads", "2"))
    by_id = {row.id: row for row in rows}
    for group in view.groups:
        for trial in group.trials:
            steady = "steady: no" if by_id[trial.number].round == 2 else "steady: yes"
            assert texts(group, trial.number)["record"] == steady


def test_a_configuration_is_in_full_once_and_then_as_differences() -> None:
    report = small()
    config = {"model": {f"width {number}": number for number in range(9)}}
    rows = tuple(
        replace(row, spec_json=json.dumps({"config": config | {"cache": row.arm}})) for row in report.trials
    )
    first, second = viewed(replace(report, trials=rows)).groups
    assert first.reference is None
    assert first.configuration.splitlines()[:2] == ["model.width 0: 0", "model.width 1: 1"]
    assert second.reference is not None
    assert (second.reference.anchor, second.reference.title) == (first.anchor, first.title)
    assert second.configuration == f"cache: {report.loaded.arms[1].name}"


def test_a_failed_trial_leads_to_its_failure() -> None:
    report = small()
    failed = replace(report.trials[2], state="failed", error="out of memory")
    rows = tuple(failed if row.id == failed.id else row for row in report.trials)
    shown = [trial for group in viewed(replace(report, trials=rows)).groups for trial in group.trials]
    assert {trial.number: (trial.state, trial.failure) for trial in shown if trial.failure} == {
        3: ("failed", "failure-3")
    }


def test_failed_trials_are_described_first_if_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    report = small()
    failed = replace(report.trials[-1], state="failed")
    many = replace(report, trials=(*report.trials[:-1], failed))
    monkeypatch.setattr(trials, "MOST_TRIALS", 3)
    view = viewed(many)
    assert (view.shown, view.total) == (3, 6)
    assert sorted(trial.number for group in view.groups for trial in group.trials) == [1, 2, 6]
    assert trial_anchors(many) == {1: "trial-1", 2: "trial-2", 6: "trial-6"}
    assert view.export == "harness export kv_cache --scale cpu"


def test_configurations_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "MOST_CONFIGURATIONS", 1)
    report = small()
    rows = tuple(replace(row, spec_json=json.dumps({"config": {row.arm: 1}})) for row in report.trials)
    first, second = viewed(replace(report, trials=rows)).groups
    assert (bool(first.configuration), first.left_out) == (True, False)
    assert (second.configuration, second.reference, second.left_out) == ("", None, True)


def test_a_study_without_trials_has_no_such_section() -> None:
    assert trials_view(synthetic_report(study(**SHORT))) is None
