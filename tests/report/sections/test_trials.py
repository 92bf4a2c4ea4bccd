from dataclasses import replace

import pytest

from harness.report.inputs import ReportInput
from harness.report.labels import metric_of
from harness.report.sections import trials
from harness.report.sections.trials import TrialsView, trial_anchors, trials_view
from tests.report.synthetic import study, synthetic_report, with_trials

SHORT = {"across": {}, "claims": {}, "compare": {"cache": ["none", "static"]}, "design": {"rounds": 3}}


def small() -> ReportInput:
    return with_trials(synthetic_report(study(**SHORT)), started_at="2031-05-06T07:08:09Z")


def viewed(report: ReportInput) -> TrialsView:
    view = trials_view(report)
    assert view is not None
    return view


def test_a_trial_shows_its_values_its_configuration_and_its_telemetry() -> None:
    report = small()
    view = viewed(report)
    assert len(view.trials) == view.total == 6
    first = view.trials[0]
    row = report.trials[0]
    assert first.title == f"trial 1: {row.arm} seed 0 round 1"
    measured = report.samples.measured
    values = measured[measured["trial"] == 1].set_index("metric")["value"]
    assert {value.metric: float(value.cell.value) for value in first.values} == {
        metric_of(str(name)).label: value for name, value in values.items()
    }
    assert {value.samples for value in first.values} == {3}
    facts = dict(first.facts)
    assert facts["id"] == "t2-0000000000000001"
    assert facts["began"].startswith("2031-05-06T07:08:09Z")
    assert facts["telemetry"].startswith("4 observations; resident memory up to 381.6 MiB; CPU 98 % (median)")
    assert first.samples == "samples-1"
    (configuration,) = [one for one in view.configurations if one.anchor == first.configuration]
    assert configuration.text.splitlines()[:2] == [f"arm: {row.arm}", "model.width: 8"]


def test_what_all_trials_of_a_configuration_recorded_stands_there_once() -> None:
    report = small()
    rows = tuple(
        replace(row, spent={"updates": 7}, notes={"threads": 2, "steady": row.round != 2})
        for row in report.trials
    )
    view = viewed(replace(report, trials=rows))
    for configuration in view.configurations:
        assert configuration.recorded == (("work: updates", "7"), ("note: threads", "2"))
    for trial, row in zip(view.trials, rows, strict=True):
        facts = dict(trial.facts)
        assert facts["note: steady"] == ("no" if row.round == 2 else "yes")
        assert "work: updates" not in facts


def test_a_failed_trial_shows_why_and_the_end_of_its_log() -> None:
    report = small()
    log = "\n".join(f"line {number}" for number in range(100))
    failed = replace(report.trials[2], state="failed", error="out of memory", traceback=log)
    rows = tuple(failed if row.id == failed.id else row for row in report.trials)
    trial = viewed(replace(report, trials=rows)).trials[2]
    assert trial.state == "failed"
    assert "out of memory" in dict(trial.facts)["failed because"]
    assert trial.log.splitlines() == [f"line {number}" for number in range(60, 100)]
    assert viewed(report).trials[2].log == ""


def test_failed_trials_are_described_first_if_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    report = small()
    failed = replace(report.trials[-1], state="failed")
    many = replace(report, trials=(*report.trials[:-1], failed))
    monkeypatch.setattr(trials, "MOST_TRIALS", 3)
    view = viewed(many)
    assert (len(view.trials), view.total) == (3, 6)
    assert [trial.number for trial in view.trials] == [1, 2, 6]
    assert trial_anchors(many) == {1: "trial-1", 2: "trial-2", 6: "trial-6"}
    assert view.export == "harness export kv_cache --scale cpu"


def test_configurations_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "MOST_CONFIGURATIONS", 1)
    view = viewed(small())
    assert (len(view.configurations), view.other_configurations) == (1, 1)
    assert {trial.configuration for trial in view.trials} == {"configuration-1", ""}


def test_a_study_without_trials_has_no_such_section() -> None:
    assert trials_view(synthetic_report(study(**SHORT))) is None
