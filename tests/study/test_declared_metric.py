"""Metrics that a study declares: their records, and what a study can do with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import StudyError
from harness.metrics import METRICS, declared, known_metrics, metric
from harness.study.claim_content import claim_digest, declared_digest, margin_contents
from harness.study.declared_metric import DeclaredMetric
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.measured import measured_content
from harness.study.planning.plan import plan
from harness.study.planning.trials import is_timed, keeps_begun_rounds, replaces_disturbed_rounds
from tests.support.program_study import loaded_program

RATE = "rate: {better: higher, paired_over: rounds"
LOSS = "val_loss: {better: lower, paired_over: seeds, unit: nats"

TIMED = (
    ("primary: val_loss", "primary: rate"),
    ("design: {seeds: 6}", "design: {rounds: 10}"),
    ("  lower: {source: me, says: It lowers the loss., level: {warmup: 1000}, direction: better}\n", ""),
    ("metric: score, ", ""),
    ('"{seed}"', '"3"'),
)
"""Patches by which the study measures a rate in each round."""


def read(**settings: Any) -> DeclaredMetric:
    return DeclaredMetric.read(settings)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"better": "lower", "paired_over": "seeds"},
            {"compared_by": "ratios", "timed": False, "margin": 0.01, "per_trial": "last"},
        ),
        (
            {"better": "higher", "paired_over": "rounds", "unit": "tokens/s"},
            {"compared_by": "ratios", "timed": True, "margin": 0.05, "per_trial": "median"},
        ),
        (
            {"better": "higher", "paired_over": "seeds", "compared_by": "difference", "per_trial": "max"},
            {"compared_by": "differences", "margin": 0.0, "margin_in_points": True, "per_trial": "max"},
        ),
    ],
)
def test_the_record_of_a_metric(settings: dict[str, Any], expected: dict[str, Any]) -> None:
    record = read(**settings).record("mine")
    assert {name: getattr(record, name) for name in expected} == expected
    assert (record.name, record.unit) == ("mine", settings.get("unit", ""))


def test_a_record_is_known_only_where_its_study_is_at_hand() -> None:
    record = read(better="lower", paired_over="seeds").record("mine")
    with declared({"mine": record}):
        assert metric("mine") is record
        with declared({"mine": read(better="higher", paired_over="rounds").record("mine")}):
            assert metric("mine").better == "higher"
        assert metric("mine") is record
    assert known_metrics() == dict(METRICS)


REFUSED = [
    (
        (LOSS, "loss: {better: lower, paired_over: seeds"),
        "7:3: loss is a metric of the harness; give yours another name",
    ),
    ((LOSS, "command_seconds: {better: lower, paired_over: seeds"), "7:3: command_seconds is a metric of"),
    ((LOSS, "auxiliary_loss_1: {better: lower, paired_over: seeds"), "7:3: auxiliary_loss_1 is a metric of"),
    ((LOSS, "Loss: {better: lower, paired_over: seeds"), "7:9: metrics.Loss: 'Loss' does not match"),
    ((LOSS, "val_loss: {better: less, paired_over: seeds"), "'less' is not an allowed value"),
    ((LOSS, "val_loss: {better: lower"), "missing key 'paired_over' in metrics.val_loss"),
    ((LOSS, "val_loss: {better: lower, paired_over: sentences"), "'sentences' is not an allowed value"),
    ((LOSS, "val_los: {better: lower, paired_over: seeds"), "does not produce the metric 'val_loss'"),
    ((LOSS, f"{LOSS}, per_trail: max"), "unknown key 'per_trail' in metrics.val_loss"),
    (("margins: {score: 0.005}", "margins: {scores: 0.1}"), "no group of metrics has the name 'scores'"),
    (("margins: {score: 0.005}", "margins: {val_loss: 1}"), "margins.val_loss: must be less than 1, found 1"),
    (("task: command", "task: train"), "the task 'train' reports its own metrics"),
    (("metric: score, direction", "metric: bleu, direction"), "does not produce the metric 'bleu'"),
]


@pytest.mark.parametrize(("patch", "error"), REFUSED, ids=[error for _, error in REFUSED])
def test_what_is_refused(tmp_path: Path, patch: tuple[str, str], error: str) -> None:
    with pytest.raises(StudyError) as raised:
        loaded_program(tmp_path, patch)
    assert error in str(raised.value)
    assert "mine.yaml:" in str(raised.value)


def test_a_difference_needs_a_margin_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="margin"):
        loaded_program(tmp_path, ("margins: {score: 0.005}\n", ""))
    points = loaded_program(tmp_path, ("margins: {score: 0.005}", "margins: {score: 2}"))
    with declared(points.study.records):
        assert points.study.margin(metric("score")) == 2


def test_a_metric_may_have_the_name_of_a_group_of_margins(tmp_path: Path) -> None:
    """The group has no margin of the study then: `time` is the program's, and not the harness's seconds."""
    study = loaded_program(
        tmp_path,
        (RATE, "time: {better: lower, compared_by: difference, paired_over: rounds"),
        ("margins: {score: 0.005}", "margins: {score: 0.005, time: 3}"),
    ).study
    with declared(study.records):
        margins = {name: study.margin(metric(name)) for name in ("time", "score", "bleu", "command_seconds")}
    assert margins == {"time": 3, "score": 0.005, "bleu": 0.5, "command_seconds": 0.05}


def test_a_metric_that_every_round_measures_counts_as_timed(tmp_path: Path) -> None:
    """So its rounds begin with a lead-in, and a round that something disturbed is replaced."""
    trained = loaded_program(tmp_path)
    timed = loaded_program(tmp_path, *TIMED)
    for study, expected in ((trained, False), (timed, True)):
        with declared(study.study.records):
            assert is_timed(study) is expected
            assert keeps_begun_rounds(study) is expected
            assert replaces_disturbed_rounds(study) is expected
            purposes = {spec.purpose for spec in plan(study).trials}
        assert purposes == ({"measure", "lead-in"} if expected else {"measure"})


def digests(study: LoadedStudy) -> list[str]:
    """Of the claim on the loss, of the claim on the score, and of the margin of the loss."""
    with declared(study.study.records):
        margins = {name: declared_digest(content) for name, content in margin_contents(study).items()}
        lower, higher = (claim_digest(study, study.study.claims[name]) for name in ("lower", "higher"))
        return [lower, higher, margins["val_loss"]]


@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ((LOSS, LOSS.replace("lower", "higher")), [True, False]),
        ((LOSS, f"{LOSS}, per_trial: max"), [True, False]),
        ((LOSS, LOSS.replace("nats", "bits")), [True, False]),
        ((LOSS, f"{LOSS}, summary: The loss after training."), [False, False]),
        ((RATE, RATE.replace("higher", "lower")), [False, False]),
        ((LOSS, f"{LOSS}, output: {{kind: json-lines}}"), [False, False]),
        (("score ([0-9.]+)", "score: ([0-9.]+)"), [True, True]),
    ],
    ids=["better", "per_trial", "unit", "words", "of no claim", "the same output", "another output"],
)
def test_a_claim_is_another_one_if_its_metric_means_something_else(
    tmp_path: Path, patch: tuple[str, str], changed: list[bool]
) -> None:
    """Where a program writes a value is part of every arm."""
    before, after = digests(loaded_program(tmp_path)), digests(loaded_program(tmp_path, patch))
    assert [one != other for one, other in zip(before[:2], after[:2], strict=True)] == changed


def test_a_run_is_another_one_only_if_a_metric_decides_what_is_measured(tmp_path: Path) -> None:
    """As it does where rounds end when an interval is narrow enough."""
    until = ("design: {rounds: 10}", "design: {rounds: 10, until: {width: 0.01}}")
    other, words = ((RATE, f"{RATE}, {key}") for key in ("per_trial: max", "summary: Words."))

    def content(*patches: tuple[str, str]) -> dict[str, Any]:
        study = loaded_program(tmp_path, *TIMED, *patches)
        with declared(study.study.records):
            return measured_content(study)

    assert content() == content(other)
    assert content(until) != content(until, other)
    assert content(until) == content(until, words)


def test_a_name_means_the_same_in_all_parts(tmp_path: Path) -> None:
    study = """\
study: mine
question: Is one faster?
task: command
base: {command: [sh, "-c", "{word}"], word: a}
compare: {word: [a, b]}
primary: cost
design: {rounds: 10}
parts:
  one: {metrics: {cost: {better: lower, paired_over: rounds}}}
  two: {metrics: {cost: {better: lower, paired_over: rounds}}}
"""
    file = tmp_path / "mine.yaml"
    (tmp_path / "train.sh").write_text("")
    file.write_text(study)
    assert len(load_study(file)) == 2
    head, tail = study.split("  two: ")
    file.write_text(f"{head}  two: {tail.replace('lower', 'higher')}")
    with pytest.raises(StudyError, match=r"mine\.yaml.*two parts declare 'cost' differently"):
        load_study(file)
