"""What the page about all studies says about a store and a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report.index_source import index_input
from harness.store.rows import Artifact, Run, VerdictRow
from harness.store.store import Store, open_store
from tests.support.invented_runs import MACHINE, invent_run
from tests.support.program_study import put_program
from tests.support.stored_run import create


def judge(store: Store, run: Run, effect: float, folder: Path, name: str) -> Path:
    """Record a verdict on a claim about the primary metric, a claim about another, and a report."""
    rows = [
        VerdictRow(
            claim=claim,
            verdict="confirmed",
            effect=value,
            low=value - 0.1,
            high=value + 0.1,
            n=6,
            claimed=None,
            reason="So.",
            code_digest="c",
        )
        for claim, value in (("higher", 0.5), ("lower", effect))
    ]
    store.record_verdicts(run, rows)
    path = folder / name
    path.touch()
    store.record_artifact(
        Artifact(kind="report", content_id=run.id, sha256="0", path=str(path.resolve()), run_id=run.id)
    )
    return path


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return put_program(tmp_path / "project")


def test_the_trend_follows_the_primary_claim_over_comparable_runs(tmp_path: Path, study: Path) -> None:
    with open_store(tmp_path / "harness.db") as store:
        for effect, code in ((0.9, "a"), (0.8, "b"), (0.7, "c")):
            judge(store, invent_run(store, study, code=code), effect, tmp_path, "mine.html")
        other = invent_run(store, study, code="d", machine={**MACHINE, "cpu": "Other 1"})
        judge(store, other, 0.1, tmp_path, "mine.html")
        planted = invent_run(store, study, code="e", plant="x/y")
        judge(store, planted, 0.2, tmp_path, "planted.html")
        (shown,) = index_input(store, tmp_path).studies
    assert shown.trend is not None
    assert shown.trend.claim == "lower"
    assert [(point.code, point.effect) for point in shown.trend.points] == [
        ("a", 0.9),
        ("b", 0.8),
        ("c", 0.7),
    ]


def test_the_newest_run_without_a_planted_bug_answers_on_each_device(tmp_path: Path, study: Path) -> None:
    with open_store(tmp_path / "harness.db") as store:
        invent_run(store, study)
        newest = invent_run(store, study, "design.seeds=8")
        other = invent_run(store, study, machine={**MACHINE, "cpu": "Other 1"})
        invent_run(store, study, plant="x/y")
        (shown,) = index_input(store, tmp_path).studies
    assert [(run.run, run.settings) for run in shown.runs] == [
        (newest.id, ("design.seeds=8",)),
        (other.id, ()),
    ]
    assert (shown.question, shown.trend) == ("Does warm-up help?", None)


def test_the_question_is_that_of_the_study_and_not_of_a_later_search(tmp_path: Path, study: Path) -> None:
    with open_store(tmp_path / "harness.db") as store:
        invent_run(store, study)
        create(store, study="mine/proof")
        (shown,) = index_input(store, tmp_path).studies
    assert (shown.name, shown.question) == ("mine", "Does warm-up help?")


def test_a_file_is_linked_once_for_the_run_that_wrote_it_last(tmp_path: Path, study: Path) -> None:
    with open_store(tmp_path / "harness.db") as store:
        first, second = invent_run(store, study), invent_run(store, study, plant="x/y")
        judge(store, second, 0.5, tmp_path, "mine.html")
        judge(store, first, 0.5, tmp_path, "mine.html")
        (shown,) = index_input(store, tmp_path).studies
        assert [(link.file, link.run, link.plant) for link in shown.reports] == [
            ("mine.html", first.id, None)
        ]
        (tmp_path / "mine.html").unlink()
        (gone,) = index_input(store, tmp_path).studies
        (elsewhere,) = index_input(store, tmp_path / "elsewhere").studies
    assert (gone.reports, elsewhere.reports) == ((), ())
