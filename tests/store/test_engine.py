"""What is a store and what is not: every refusal is one line for people, exit code 2, and writes nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from harness.errors import StoreError
from harness.store import database
from harness.store.engine import make_engine, parse_location, reading, wal_is_sound
from harness.store.rows import Run
from harness.store.store import Store, open_store


def refusal(location: str | Path) -> str:
    with pytest.raises(StoreError) as caught:
        open_store(location)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "\n" not in message
    return message


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_new_file_is_made_with_its_folder_and_opens_again(
    tmp_path: Path, new_run: Callable[..., Run]
) -> None:
    path = tmp_path / "results" / "deep" / "harness.db"
    with open_store(path) as store:
        run = new_run(store)
    with open_store(f"sqlite:///{path}") as store:
        assert store.runs() == [run]


def test_an_empty_file_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "harness.db").touch()
    with open_store(tmp_path / "harness.db") as store:
        assert store.runs() == []


def test_a_directory_is_refused_with_the_file_that_was_meant(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path)
        == f"{tmp_path}: this is a directory, not a database; did you mean {tmp_path / 'harness.db'}?"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_text_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("study: kv_cache\n" * 200)
    before = path.read_bytes()
    assert refusal(path) == f"{path}: this is not a SQLite database; choose another file with --store"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("tables", [("studies", "trials", "alembic_version"), ("notes",)])
def test_a_database_of_another_program_is_refused_and_left_as_it_is(
    tmp_path: Path, tables: tuple[str, ...]
) -> None:
    path = tmp_path / "optuna.db"
    execute(path, *(f"CREATE TABLE {table} (version_num TEXT)" for table in tables))
    before = path.read_bytes()
    assert "this database belongs to another program" in refusal(path)
    assert path.read_bytes() == before


def test_a_newer_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "harness.db"
    open_store(path).close()
    execute(path, "UPDATE harness_alembic_version SET version_num = '0999'")
    before = path.read_bytes()
    assert "a newer version of the harness wrote this database (version 999 of the tables; " in refusal(path)
    assert path.read_bytes() == before


def test_a_version_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "harness.db"
    open_store(path).close()
    execute(path, "UPDATE harness_alembic_version SET version_num = 'a1b2'")
    assert "cannot read the version of its tables" in refusal(path)


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "harness.db"
    open_store(path).close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    assert f"{path}: the database is damaged" in refusal(path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot create its folder" in refusal(tmp_path / "file" / "harness.db")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "a database in memory would lose all results"),
        ("sqlite:///:memory:", "a database in memory would lose all results"),
        ("sqlite:///harness.db?mode=ro", "harness.db: the URL of a SQLite store must not have options"),
        (
            "postgresq://me@here/results",
            "a store cannot be a database of the kind 'postgresq'; did you mean 'postgresql'?",
        ),
        (
            "mysql://me@here/results",
            "a store cannot be a database of the kind 'mysql'; known: postgresql, sqlite",
        ),
        ("postgresql://me@here:port/results", "the URL of the store is malformed"),
    ],
)
def test_a_url_of_another_kind_is_refused(url: str, said: str) -> None:
    assert said in refusal(url)


@pytest.mark.parametrize(
    "location",
    [
        "postgresql//me:CANARY@host/results",
        "postgresql/me:CANARY@host/results",
        "postgresql:me:CANARY@host/results",
        "postgres:/me:CANARY@host/results",
        "POSTGRESQL+psycopg//me:CANARY@host/results",
        "mysql:/me:CANARY@host/results",
        "//me:CANARY@host/results",
        "me:CANARY@host/results",
        "results/me:CANARY@host/results",
        "host=here password=CANARY dbname=results",
        "jdbc:postgresql://me:CANARY@host/results",
        "postgresql ://me:CANARY@host/results",
        "postgresql://me:CANARY",
        "postgresql://me:CANARY@host:port/results",
        "sqlite:/harness.db",
        "sqlite:harness.db",
        "sqlite//harness.db",
        "sqlite:///",
        Path("postgresql://me:CANARY@host/results"),
    ],
)
def test_a_mistyped_url_is_refused_and_never_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str | Path
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refusal(location)
    assert "looks like" in message or "use a file: sqlite:///" in message
    assert "CANARY" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_name_looks_like_a_url_can_be_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ("12:30.db", "me@here.db", "postgresql/my.db", "./postgresql:a@b.db", "~/me:a@b.db")
    for name in (*names, f"{tmp_path}/sqlite:a@b/c.db"):
        open_store(name).close()
    assert (tmp_path / "sqlite:a@b" / "c.db").is_file()
    assert (tmp_path / "me:a@b.db").is_file()


def test_a_server_that_is_not_there_is_refused_without_telling_the_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    for url in ("me:CANARY@/results?", "me@/results?password=CANARY&", "me@/results?sslpassword=CANARY&"):
        message = refusal(f"postgresql://{url}host={tmp_path}")
        assert "the database reports an error" in message
        assert "CANARY" not in message


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert (
        "a PostgreSQL store needs the package psycopg; pip install 'transformer-harness[postgres]'"
        in refusal("postgresql://me@here/db")
    )


def test_a_postgresql_database_of_another_program_is_refused(postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE studies (id INTEGER)")
    assert "this database belongs to another program (it has a table 'studies'" in refusal(postgres_url)


def test_a_database_locked_by_another_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.store.engine.BUSY_SECONDS", 0.05)
    path = tmp_path / "harness.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert "another program has locked the database" in refusal(path)
    holder.execute("ROLLBACK")
    holder.close()
    open_store(path).close()


def test_a_lock_that_is_held_for_a_minute_is_waited_for_by_drivers_and_refused_by_others(
    tmp_path: Path,
) -> None:
    """The documented times, which other tests shorten. First a connection waits, and then a driver."""
    engine = make_engine(parse_location(tmp_path / "harness.db"))
    with reading(engine) as connection:
        waits_ms = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    engine.dispose()
    assert waits_ms == 30_000
    assert database.WAIT_SECONDS["lock"] == 300
    documented = Path(__file__).parents[2].joinpath("docs/robustness.md").read_text()
    assert "| another program holds the lock of the database | 5 minutes |" in documented


def test_a_full_disk_is_said_and_the_store_stays_whole(tmp_path: Path, new_run: Callable[..., Run]) -> None:
    path = tmp_path / "harness.db"
    with open_store(path) as store:
        run = new_run(store)

    def leave_no_room(connection: sqlite3.Connection, _record: object) -> None:
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(Engine, "connect", leave_no_room)
    try:
        with (
            open_store(path) as store,
            pytest.raises(StoreError, match="the disk is full; this step was not recorded"),
        ):
            store.create_run(
                run.identity,
                study="large",
                study_json="x" * 100_000,
                study_source="",
                environment={},
                trials=[],
            )
    finally:
        event.remove(Engine, "connect", leave_no_room)
    with open_store(path) as store:
        assert store.runs() == [run]


def test_wal_is_used_only_on_fixed_versions_of_sqlite() -> None:
    sound = [(3, 51, 3), (3, 52, 0), (3, 50, 7), (3, 44, 6), (3, 44, 9)]
    unsound = [(3, 51, 2), (3, 51, 0), (3, 50, 6), (3, 49, 9), (3, 45, 0), (3, 44, 5), (3, 40, 1), (3, 7, 0)]
    assert [wal_is_sound(version) for version in sound] == [True] * len(sound)
    assert [wal_is_sound(version) for version in unsound] == [False] * len(unsound)


def test_a_file_in_wal_mode_leaves_it_on_a_version_that_could_damage_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "harness.db"
    monkeypatch.setattr("harness.store.engine.wal_is_sound", lambda _version: True)
    open_store(path).close()
    assert journal(path) == "wal"
    monkeypatch.setattr("harness.store.engine.wal_is_sound", lambda _version: False)
    open_store(path).close()
    assert journal(path) == "delete"


def test_no_wal_on_the_file_system_of_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, mounts = tmp_path / "harness.db", tmp_path / "mountinfo"
    monkeypatch.setattr("harness.store.engine.wal_is_sound", lambda _version: True)
    open_store(path).close()
    assert journal(path) == "wal"
    mounts.write_text("24 22 0:40 / / rw,relatime - nfs4 server:/home rw,local_lock=none\n")
    monkeypatch.setattr("harness.store.file_system.MOUNTS", mounts)
    open_store(path).close()
    assert journal(path) == "delete"


@pytest.mark.parametrize("sound", [False, True])
def test_a_commit_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, sound: bool) -> None:
    """Of the journal, of the database, and of the folder in which the journal was."""
    monkeypatch.setattr("harness.store.engine.wal_is_sound", lambda _version: sound)
    seen: list[int] = []

    def look(connection: sqlite3.Connection, *_: object) -> None:
        seen.extend(connection.execute("PRAGMA synchronous").fetchone())

    event.listen(Engine, "checkout", look)
    try:
        open_store(tmp_path / "harness.db").close()
    finally:
        event.remove(Engine, "checkout", look)
    assert set(seen) == {3}  # EXTRA


def journal(path: Path) -> str:
    connection = sqlite3.connect(path)
    [mode] = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    return str(mode)


def test_reading_results_loads_nothing_heavy(tmp_path: Path) -> None:
    open_store(tmp_path / "harness.db").close()
    program = (
        "import sys; from harness.store.store import open_store; open_store(sys.argv[1]).close();"
        "print({'torch', 'pandas', 'alembic', 'psycopg', 'numpy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "harness.db")]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "set()\n"


def test_closing_frees_the_runs_that_were_held(store: Store, location: str, run: Run) -> None:
    store.open_session(run, {})
    store.close()
    with open_store(location) as second:
        second.close_session(second.open_session(run, {}))
        assert [row.ended_at is None for row in second.sessions(run)] == [True, False]
