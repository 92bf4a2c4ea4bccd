"""Questions in SQL: every view on both databases, and nothing but reading."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.errors import InputError, StoreError
from harness.store import query
from harness.store.query import VIEWS, ask
from harness.store.rows import Run, Session, VerdictRow
from harness.store.store import Store, open_store
from harness.trial.outcome import Outcome, Sample
from tests.support.stored_run import trial

REFUSED = "only statements that read are allowed"


@pytest.fixture
def filled(store: Store, run: Run, session: Session, location: str) -> str:
    """The location of a store with a run: one trial that finished, and one that failed."""
    begun = store.begin_trial(run, session, trial(0), position=0)
    samples = (Sample("loss", 0, 2.5), Sample("loss", 1, math.nan))
    store.finish_trial(begun, Outcome(status="finished", samples=samples), seconds=1.5)
    lost = store.begin_trial(run, session, trial(1), position=1)
    store.finish_trial(
        lost, Outcome(status="failed", error="=1+1", samples=(Sample("loss", 0, 9.0),)), seconds=1.0
    )
    row = VerdictRow(
        claim="fast",
        verdict="confirmed",
        effect=2.0,
        low=1.9,
        high=2.1,
        n=8,
        claimed=2.0,
        reason="why",
        basis={},
        code_digest="c0de",
    )
    store.record_verdicts(run, [row])
    return location


def rows(location: str, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in ask(location, sql).rows]


def test_the_views(filled: str, run: Run) -> None:
    assert rows(filled, "SELECT study, run, trials, finished FROM run_list") == [("kv_cache", run.id, 4, 1)]
    trials = rows(filled, "SELECT seed, state, seconds, error FROM trial_list ORDER BY seed")
    assert trials == [
        (0, "finished", 1.5, None),
        (1, "failed", 1.0, "=1+1"),
        (2, None, None, None),
        (3, None, None, None),
    ]
    [first, second] = rows(filled, "SELECT arm, metric, step, value FROM sample_list ORDER BY step")
    assert first == ("dynamic", "loss", 0, 2.5)
    assert second[3] is None or math.isnan(second[3])  # type: ignore[arg-type]  # SQLite has no NaN
    verdicts = rows(filled, "SELECT claim, verdict, n FROM verdict_list")
    assert verdicts == [("fast", "confirmed", 8)]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_read(filled: str, view: str) -> None:
    answer = ask(filled, f"SELECT * FROM {view}")
    assert len(set(answer.columns)) == len(answer.columns) > 5
    assert all(len(row) == len(answer.columns) for row in answer.rows)


def test_a_statement_may_have_tables_of_its_own(filled: str) -> None:
    sql = """
        with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 3)
        select n, (select count(*) from trial_list) from numbers order by n
    """
    assert rows(filled, sql) == [(1, 4), (2, 4), (3, 4)]
    assert rows(filled, "SELECT '50%' AS share, 'a:b' AS word") == [("50%", "a:b")]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM runs",
        "UPDATE runs SET scale = 'x'",
        "INSERT INTO sessions SELECT * FROM sessions",
        "x AS (SELECT 1) DELETE FROM runs",
        "WITH x AS (SELECT 1) DELETE FROM runs",
        "DROP TABLE runs",
        "CREATE TABLE mine (a integer)",
        "SELECT 1; DROP TABLE runs",
        "PRAGMA journal_mode = DELETE",
        "ATTACH DATABASE 'other.db' AS other",
        "VACUUM",
        "COMMIT",
        "",
        "SELEC 1",
        "SELECT * FROM nothing",
        "SELECT load_extension('x')",
    ],
)
def test_whatever_does_not_read_is_refused(
    filled: str, run: Run, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"only statements that read|the database refuses|gives no rows"):
        rows(filled, sql)
    assert sorted(tmp_path.iterdir()) == before
    with open_store(filled) as store:
        assert [known.id for known in store.runs()] == [run.id]
        assert store.chain(run).problems == ()


def test_a_question_that_takes_too_long_is_ended(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "LONGEST_S", 0.05)
    endless = """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)
        SELECT count(*) FROM n
    """
    with pytest.raises(InputError, match=r"the question takes longer than 0\.05 s; ask for less"):
        rows(filled, endless)


def test_a_store_of_another_version_is_not_asked(location: str) -> None:
    with pytest.raises(StoreError):
        rows(location, "SELECT 1")


def test_an_answer_that_is_too_long_is_refused(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "MOST_ROWS", 3)
    assert len(rows(filled, "SELECT seed FROM trial_list LIMIT 3")) == 3
    with pytest.raises(InputError, match=r"the answer has more than 3 rows; ask for less"):
        rows(filled, "SELECT seed FROM trial_list")
