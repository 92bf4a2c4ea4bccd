"""The migrations make the tables that the code expects, and what the first version wrote can still be read."""

from __future__ import annotations

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
from harness.store.rows import Checkpoint
from harness.store.store import open_store
from harness.store.tables import VERSION_TABLE, metadata
from harness.study.trial import TrialSpec

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
        # The server rewrites an index's expression, so that one cannot be compared; what it does is tested with the trials.
        options = {
            "version_table": VERSION_TABLE,
            "include_object": lambda _object, name, *_: name != "ux_trials_counted_once",
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
        assert (run.environment, run.expected_trials) == ({"cpu": "EPYC", "threads": 1}, 3)
        assert store.find_run(run.identity) == run
        [session] = store.sessions(run)
        assert (session.host, session.pid, session.ended_at) == (
            "bench",
            4242,
            "2026-11-22T10:00:05.000000+00:00",
        )
        finished, failed = store.trials(run)
        assert TrialSpec.model_validate_json(finished.spec_json).id == finished.spec_id
        assert (finished.outputs, finished.spent, finished.seconds) == (
            {"tokens": "ab12"},
            {"tokens": 64.0},
            1.5,
        )
        assert (failed.status, failed.error, failed.nvml_reason) == ("failed", "out of memory", "no driver")
        assert len(store.trials(run, include_superseded=True)) == 3
        values = [row.value for row in store.samples(run)]
        assert values[:2] == [math.inf, 20.5]
        assert math.isnan(values[2])
        assert math.copysign(1.0, values[3]) == -1.0
        [check] = store.checks(run)
        assert (check.case, check.passed, check.deviation) == ("batch 2", True, 3e-16)
        [look] = store.telemetry(run)
        assert (look.source, look.gpu_memory_bytes, look.gpu_throttling) == (
            "psutil+nvml",
            1073741824,
            ["power"],
        )
        assert store.checkpoint("abc") == Checkpoint(
            id="abc",
            spec_json="{}",
            seed=0,
            code_digest="c0de",
            sha256="11",
            path="checkpoints/abc.safetensors",
            trial_id=finished.id,
            made_at="2026-11-22T10:00:04.000000+00:00",
        )
