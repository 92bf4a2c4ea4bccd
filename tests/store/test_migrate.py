"""The migrations create the tables that the code expects, and keep the data of the first version readable."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import harness.store.migrate
from harness.store.migrate import HEAD
from harness.store.rows import Artifact, VerdictRow
from harness.store.store import open_store
from harness.store.tables import VERSION_TABLE, metadata
from harness.trial.spec import TrialSpec

VERSION_1 = Path(__file__).with_name("version_1.sql")
MIGRATIONS = Path(harness.store.migrate.__file__).with_name("migrations")


def tables_of(path: Path) -> dict[str, list[str]]:
    """The parts of the statements that make each table and index; constraints may stand in any order."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {
        name: sorted(re.split(r"[,()]", re.sub(r'[\s"]+', "", sql)))
        for name, sql in rows
        if name != VERSION_TABLE
    }


def old_database(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1.read_text())
    connection.close()
    return path


def test_the_migrations_make_the_tables_that_the_code_expects(tmp_path: Path) -> None:
    open_store(tmp_path / "migrated.db").close()
    engine = create_engine(f"sqlite:///{tmp_path / 'expected.db'}")
    metadata.create_all(engine)
    engine.dispose()
    assert tables_of(tmp_path / "migrated.db") == tables_of(tmp_path / "expected.db")


def test_on_postgresql_they_make_the_same(postgres_url: str) -> None:
    open_store(postgres_url).close()
    engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        # The server rewrites an index's expression, so that one cannot be compared; what it does is tested
        # with the trials.
        options = {
            "version_table": VERSION_TABLE,
            "include_object": lambda _object, name, *_: name != "ux_attempts_counted_once",
        }
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()
    assert differences == []


def test_the_newest_migration_is_the_version_that_the_code_knows() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert scripts.get_heads() == [f"{HEAD:04}"]


def test_the_first_migration_still_makes_what_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.store.migrate.HEAD", 1)
    open_store(tmp_path / "new.db").close()
    assert tables_of(tmp_path / "new.db") == tables_of(old_database(tmp_path / "old.db"))


def test_a_database_of_version_1_still_opens(tmp_path: Path) -> None:
    with open_store(old_database(tmp_path / "harness.db")) as store:
        [run] = store.runs()
        assert (run.id, run.study, run.scale, run.plant) == ("69b88b0af2eb-1", "kv_cache", "cpu", None)
        assert (run.environment, run.expected_trials) == ({"cpu": "EPYC", "threads": 1}, 4)
        assert (run.study_json, run.study_source) == ('{"study":"kv_cache"}', "study: kv_cache\n")
        assert store.find_run(run.identity) == run
        [session] = store.sessions(run)
        assert (session.host, session.pid, session.provenance) == ("bench", 4242, {"order_seed": 7})
        assert session.ended_at == "2026-11-22T10:00:08.000000+00:00"
        standing = [(trial.arm, trial.state, trial.attempts) for trial in store.planned(run)]
        assert standing == [
            ("dynamic", "finished", 2),
            ("static", "failed", 1),
            ("doubling", "diverged", 1),
            ("none", "planned", 0),
        ]
        finished, failed, _ = store.trials(run)
        assert TrialSpec.model_validate_json(finished.spec_json).id == finished.spec_id
        assert (finished.outputs, finished.spent, finished.seconds) == (
            {"tokens": "ab12"},
            {"tokens": 64.0},
            1.5,
        )
        assert (failed.status, failed.error, failed.nvml_reason) == ("failed", "out of memory", "no driver")
        aside = store.trials(run, include_superseded=True)[0]
        assert (aside.state, aside.superseded_state) == ("superseded", "finished")
        values = [row.value for row in store.samples(run)]
        assert values[:2] == [math.inf, 20.5]
        assert math.isnan(values[2])
        assert math.copysign(1.0, values[3]) == -1.0
        [check] = store.checks(run)
        assert (check.case, check.passed, check.deviation) == ("batch 2", True, 3e-16)
        [look] = store.telemetry(row.id for row in store.trials(run, include_superseded=True))
        assert (look.source, look.gpu_memory_bytes, look.gpu_throttling) == (
            "psutil+nvml",
            1073741824,
            ["power"],
        )
        assert store.artifact("checkpoint", "abc") == Artifact(
            kind="checkpoint",
            content_id="abc",
            sha256="11",
            path="checkpoints/abc.safetensors",
            attempt_id=finished.id,
            made_at="2026-11-22T10:00:06.000000+00:00",
        )
        report = store.artifact("report", "def")
        assert report
        assert (report.path, report.run_id, report.attempt_id) == ("kv_cache.html", run.id, None)
        speed, same = store.verdicts(run)
        assert speed == VerdictRow(
            claim="kv-speedup",
            verdict="confirmed",
            effect=2.5,
            low=2.25,
            high=2.75,
            n=10,
            claimed=2.33,
            reason="Inside.",
            code_digest="c0de",
            computed_at="2026-11-22T10:00:09.000000+00:00",
        )
        assert (same.verdict, same.effect, same.claimed) == ("undecided", None, None)


def test_calibrations_of_older_versions_come_after_the_sessions_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_database(tmp_path / "harness.db")
    monkeypatch.setattr("harness.store.migrate.HEAD", 8)
    open_store(path).close()
    monkeypatch.undo()
    connection = sqlite3.connect(path)
    for day in ("2026-11-21", "2026-11-23"):  # the session began on the 22nd
        row = ("e", day, "c", json.dumps({"day": day}))
        columns = "(environment_digest, made_at, code_digest, facts)"
        connection.execute(f"INSERT INTO calibrations {columns} VALUES (?, ?, ?, ?)", row)
    connection.commit()
    connection.close()
    with open_store(path) as store:
        [session] = store.sessions(store.runs()[0])
        newest, earlier = store.calibration("e"), store.calibration("e", before=session)
    assert (newest and newest.made_at, earlier and earlier.made_at) == ("2026-11-23", "2026-11-21")


def test_verdicts_of_older_versions_stay_as_judgements(tmp_path: Path) -> None:
    with open_store(old_database(tmp_path / "harness.db")) as store:
        [run] = store.runs()
        assert (run.draw, run.training_draw, store.next_draw("kv_cache")) == (1, 1, 2)
        speed, same = store.judgements("kv_cache", ())
        assert (speed.claim, speed.verdict, speed.alone, speed.effect) == (
            "kv-speedup",
            "confirmed",
            "confirmed",
            "2.5",
        )
        assert (speed.claim_digest, speed.complete, speed.late) == (None, None, False)
        assert (same.verdict, same.effect, same.interval) == ("undecided", "–", "–")
