"""What the report says about how effects are estimated."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from harness.metrics import METRICS
from harness.report.build import render
from harness.report.inputs import ReportInput
from harness.report.sections.method import _estimate, _most_pairs, method_view
from harness.trial.outcome import NOT_TIMED
from tests.report.synthetic import synthetic_report, with_trials

SPEED = METRICS["decode_tokens_per_second"]


@pytest.mark.parametrize(
    ("most", "procedure"),
    [
        (0, "exact signed-rank interval and p"),
        (1000, "exact signed-rank interval and p"),
        (1001, "signed-rank interval and p by a saddlepoint approximation, because there are many pairs"),
    ],
)
def test_it_is_said_whether_p_is_exact(most: int, procedure: str) -> None:
    effects = "Hodges-Lehmann estimate of the log ratios within rounds; "
    assert _estimate(SPEED, seeds=1, most=most) == effects + procedure


def test_the_comparisons_of_the_primary_metric_count() -> None:
    numbers = {SPEED.name: (10, 1070), "loss": (20_000,)}
    contrasts = [SimpleNamespace(metric=name, n=n) for name, several in numbers.items() for n in several]
    study = SimpleNamespace(primary=SPEED.name)
    report = SimpleNamespace(
        loaded=SimpleNamespace(study=study), analysis=SimpleNamespace(contrasts=contrasts)
    )
    assert _most_pairs(cast(ReportInput, report)) == 1070


def test_trials_side_by_side_are_not_timed_and_were_not_disturbed_by_each_other() -> None:
    timed = synthetic_report()
    busy = replace(timed, telemetry=timed.telemetry.assign(other_cpu_percent=250.0))
    assert any("other programs kept 2.5 cores busy" in note for note in busy.disturbances)
    beside = with_trials(busy, notes={NOT_TIMED: "other trials ran at the same time"})
    assert beside.disturbances == ()
    for report, said in ((timed, "each in a new process"), (beside, "several at the same time")):
        assert said in dict(method_view(report).design)["trials"]
    page = render(beside)
    assert "The machine was quiet" not in page
    assert "Trials ran at the same time" in page
