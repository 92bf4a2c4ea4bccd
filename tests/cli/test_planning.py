"""`harness plan` of adaptive designs: the range of rounds, the tuning and the finalists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from tests.support.tiny_study import STUDY, TUNED, put, spoilt

ROUNDS = spoilt(STUDY, "{seeds: 1, rounds: 10}", "{rounds: 60, until: {width: 0.05}}")
FINALISTS = spoilt(TUNED, "1e-2]", "1e-2]\n    finalists: 3")

MANY_ROUNDS = """\
study: tiny
question: Is a cache faster?
task: generate
base: {model: {recipe: small}, prompts: {corpus: python-docs, count: 2, tokens: 8}, new_tokens: 8}
compare: {cache: [none, dynamic]}
design: {rounds: 1070}
primary: decode_tokens_per_second
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_rounds_that_may_end_early_are_a_range(tmp_path: Path) -> None:
    put(tmp_path, ROUNDS)
    plan = json.loads(CliRunner().invoke(app, ["plan", "tiny", "--json"]).stdout)
    once = 1 + 2 * 3
    assert len(plan["trials"]) == once + 10 * 10
    assert (plan["at_most"]["rounds"], plan["at_most"]["trials"]) == (60, once + 60 * 10)
    assert plan["at_most"]["seconds"] > 4 * plan["estimate"]["seconds"]
    printed = CliRunner().invoke(app, ["plan", "tiny"])
    assert (
        "10 to 60 rounds, until every 95 % interval is at most 5 % wide: up to 607 trials" in printed.output
    )


def test_tuning_is_shown_with_its_budget(tmp_path: Path) -> None:
    put(tmp_path, FINALISTS)
    plan = json.loads(CliRunner().invoke(app, ["plan", "tiny", "--json"]).stdout)
    assert plan["tuning"] == {"trials": 12, "by": "validation_loss", "finalists": 3}
    assert [trial["purpose"] for trial in plan["trials"]] == ["tune"] * 12 + ["measure"] * 21
    printed = CliRunner().invoke(app, ["plan", "tiny"]).output
    assert "tuning: optimizer.lr of each arm, by the best validation loss of 12 trials" in printed
    assert "3 of 4 arms are measured, including the baseline" in printed


def test_a_plan_of_many_rounds_says_that_p_is_approximated(tmp_path: Path) -> None:
    put(tmp_path, MANY_ROUNDS)
    printed = CliRunner().invoke(app, ["plan", "tiny"])
    assert printed.exit_code == 0, printed.output
    notes = " ".join(printed.stdout.split())
    assert "1,070 rounds can decide every family" in notes
    assert "p and intervals: signed rank by a saddlepoint approximation, because 1,070 pairs are too" in notes
    assert "is detected with probability 0.8 (margin ± 5 %): 0.4 %" in notes


def test_the_summary_comes_first_and_the_rows_on_request(tmp_path: Path) -> None:
    put(tmp_path, STUDY)
    short, long = (CliRunner().invoke(app, ["plan", "tiny", *extra]) for extra in ([], ["--rows"]))
    assert short.stdout.splitlines()[0] == "tiny: Does a cache make generation faster?"
    assert "--rows also prints every trial in order" in short.stderr
    assert not any("\t" in line for line in short.stdout.splitlines())
    trials = json.loads(CliRunner().invoke(app, ["plan", "tiny", "--json"]).stdout)["trials"]
    assert [line.split("\t")[-1] for line in long.stdout.splitlines()] == [
        "id",
        *(row["id"] for row in trials),
    ]
    assert short.stdout in long.stderr + "\n"


def test_all_problems_of_a_study_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["new", "mine", "--task", "train"]).exit_code == 0
    study = Path("studies/mine.yaml")
    text = study.read_text().replace("- layernorm: {model.norm: {kind: layernorm}}", "- {kind: layernorm}")
    study.write_text(text.replace("seeds: 8", "seds: 8"))
    done = CliRunner().invoke(app, ["plan", "mine"])
    first, second = done.stderr.splitlines()
    assert "a level that is a mapping needs a name" in first
    assert "`layernorm: {model.norm: {kind: layernorm}}`" in first
    assert "unknown key 'seds' in design; did you mean 'seeds'?" in second


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ("{kind: files, files: [missing.txt]}", "missing.txt: the file cannot be read"),
        ("{kind: files, files: [y.tsv], column: nothere}", "y.tsv:1: there is no column 'nothere'"),
        ("{kind: files, files: [y.tsv], source: 1, target: 3}", "y.tsv:1: the line has 2 columns"),
        ("{kind: files, files: [y.tsv], source: 0, target: 1}", "7:49: corpus.source: must be at least 1"),
    ],
)
def test_a_missing_file_or_column_is_reported_by_plan(
    corpus: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("y.tsv").write_text("text\tlabel\nhello\t1\n")
    assert CliRunner().invoke(app, ["new", "mine", "--task", "train"]).exit_code == 0
    study = Path("studies/mine.yaml")
    study.write_text(study.read_text().replace("corpus: python-docs ", f"corpus: {corpus}"))
    done = CliRunner().invoke(app, ["plan", "mine"])
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_schedule_that_is_too_long_is_reported_at_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["new", "mine", "--task", "train"]).exit_code == 0
    study = Path("studies/mine.yaml")
    study.write_text(study.read_text().replace("warmup: 10}", "warmup: 100}"))
    line = 1 + study.read_text().splitlines().index("  schedule: {kind: cosine, warmup: 100}")
    assert (
        f"mine.yaml:{line}:36: schedule.warmup 100 is longer"
        in CliRunner().invoke(app, ["plan", "mine"]).stderr
    )
