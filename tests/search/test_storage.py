"""Where Optuna's tables are: in a file or a schema of their own, beside the store."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from optuna import __version__
from sqlalchemy import create_engine, inspect

from harness.errors import StoreError
from harness.machine.environment import Environment
from harness.search.storage import SCHEMA, opened_storage
from harness.store.engine import parse_location
from harness.store.store import open_store
from tests.search.conftest import NewScene
from tests.search.scene import Scene
from tests.support.searched_study import searched


def execute(path: Path, *statements: str) -> Sequence[tuple[str, ...]]:
    connection = sqlite3.connect(path)
    rows = [row for statement in statements for row in connection.execute(statement).fetchall()]
    connection.commit()
    connection.close()
    return rows


def tables(path: Path) -> set[str]:
    return {name for (name,) in execute(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_the_tables_are_in_a_file_beside_the_store_and_sessions_share_them(
    new_scene: NewScene, tmp_path: Path
) -> None:
    undisturbed, location = new_scene(), tmp_path / "harness.db"
    undisturbed.session(5)
    with open_store(location) as store:
        scene = dataclasses.replace(undisturbed, store=store)
        for points in (2, 4, 5):
            with opened_storage(str(location)) as storage:
                scene.tables = storage
                scene.session(points)
                assert len(scene.trials()) == points
        assert scene.asked == undisturbed.asked
    optuna = tables(tmp_path / "optuna.db")
    assert {"studies", "trials", "trial_params", "alembic_version"} <= optuna
    assert {"runs", "trials", "attempts"} <= tables(location)
    assert "trial_params" not in tables(location)
    assert "attempts" not in optuna


def test_the_tables_are_in_a_schema_of_their_own_on_a_server(
    postgres_url: str, tmp_path: Path, here: Environment
) -> None:
    with open_store(postgres_url) as store:
        scene = Scene(tmp_path, store, here, searched(tmp_path))
        scene.session(4)
        undisturbed = scene.asked
        scene.code = "in sessions"
        for points in (2, 4):
            with opened_storage(postgres_url) as storage:
                scene.tables = storage
                scene.session(points)
                assert len(scene.trials()) == points
        assert scene.asked == undisturbed
    engine = create_engine(parse_location(postgres_url))
    inspected = inspect(engine)
    assert {"studies", "trials", "trial_params"} <= set(inspected.get_table_names(SCHEMA))
    assert {"runs", "trials", "attempts"} <= set(inspected.get_table_names("public"))
    assert "trial_params" not in inspected.get_table_names("public")
    assert "attempts" not in inspected.get_table_names(SCHEMA)
    engine.dispose()


def refusal(location: str) -> str:
    with pytest.raises(StoreError) as refused, opened_storage(location):
        pass
    assert refused.value.exit_code == 2
    assert "\n" not in str(refused.value)
    return str(refused.value)


def spoil_with_text(path: Path) -> None:
    path.write_text("my notes about Optuna, " * 100)


def make_newer(path: Path) -> None:
    with opened_storage(str(path.with_name("harness.db"))):
        pass
    execute(path, "UPDATE alembic_version SET version_num = 'v9.9.9.a'")


def damage(path: Path) -> None:
    make_newer(path)
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


NEWER = (
    "another version of Optuna made the tables of the search (The runtime optuna version "
    f"{__version__} is no longer compatible with the table schema (set up by optuna {__version__}). Please "
    "try updating optuna to the latest version by `$ pip install -U optuna`.); install that version, or move "
    "the file away; the points are in the store of the harness"
)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_with_text, "Optuna cannot use its tables: file is not a database"),
        (damage, "Optuna cannot use its tables: database disk image is malformed"),
        (make_newer, NEWER),
    ],
    ids=["a text", "damaged", "newer"],
)
def test_tables_that_cannot_be_used_are_refused_and_left_as_they_are(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "optuna.db"
    spoil(path)
    before = path.read_bytes()
    assert refusal(str(tmp_path / "harness.db")) == f"{path}: {message}"
    assert path.read_bytes() == before


def test_tables_that_another_program_has_locked_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.search.storage.BUSY_SECONDS", 0.05)
    holder = sqlite3.connect(tmp_path / "optuna.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    message = refusal(str(tmp_path / "harness.db"))
    holder.close()
    assert message == f"{tmp_path / 'optuna.db'}: Optuna cannot use its tables: database is locked"


def test_a_location_that_is_none_is_refused_as_a_store_is() -> None:
    assert "a store cannot be a database of the kind 'mysql'" in refusal("mysql://me@here/results")
