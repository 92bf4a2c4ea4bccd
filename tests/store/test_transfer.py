"""A store in another database: every row, numbers that go on, and nothing half-written."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from sqlalchemy import select

from harness.errors import StoreError
from harness.store.engine import make_engine, parse_location, reading
from harness.store.maintenance import check_store
from harness.store.store import open_store
from harness.store.tables import metadata
from harness.store.transfer import transfer
from tests.store.test_migrate import old_database
from tests.support.stored_run import create, finish, trial

SPECS = [trial(seed) for seed in range(3)]


def write(location: str) -> None:
    with open_store(location) as store:
        finish(store, create(store, trials=SPECS), *SPECS, samples=200)


def rows(location: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables. NaN is a text, because it is not equal to itself."""
    engine = make_engine(parse_location(location), read_only=True)
    with reading(engine) as connection:
        tables = {
            table.name: [
                tuple("nan" if isinstance(one, float) and math.isnan(one) else one for one in row)
                for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for table in metadata.sorted_tables
        }
    engine.dispose()
    return tables


def test_every_row_is_copied_there_and_back(tmp_path: Path, location: str) -> None:
    first, last = str(tmp_path / "first.db"), str(tmp_path / "last.db")
    write(first)
    location = location if "://" in location else str(tmp_path / "middle.db")
    assert transfer(first, location).problems == ()
    assert transfer(location, last).runs == 1
    assert rows(first) == rows(location) == rows(last)
    assert len(rows(last)["samples"]) >= 600


def test_a_copy_goes_on_where_the_store_was(tmp_path: Path, location: str) -> None:
    """Its numbers are new ones, also on a server that counts them apart from the rows."""
    first = str(tmp_path / "first.db")
    location = location if "://" in location else str(tmp_path / "second.db")
    write(first)
    transfer(first, location)
    with open_store(location) as store:
        before = {row.id for row in store.trials(store.runs()[0])}
        more = [trial(seed) for seed in range(5, 7)]
        finish(store, create(store, trials=more), *more)
        after = [row.id for run in store.runs() for row in store.trials(run)]
    assert len(after) == len(set(after)) == len(before) + 2
    assert check_store(location).problems == ()


def test_nothing_is_overwritten(tmp_path: Path, location: str) -> None:
    first = str(tmp_path / "first.db")
    location = location if "://" in location else str(tmp_path / "second.db")
    write(first)
    write(location)
    before = rows(location)
    with pytest.raises(StoreError, match="this store is not empty, and nothing is overwritten"):
        transfer(first, location)
    assert rows(location) == before


def test_what_cannot_be_copied(tmp_path: Path) -> None:
    first = str(tmp_path / "first.db")
    with pytest.raises(StoreError, match="cannot be copied into itself"):
        transfer(first, first)
    with pytest.raises(StoreError):
        transfer(str(tmp_path / "none.db"), first)
    assert not Path(first).exists()
    old_database(tmp_path / "old.db")
    with pytest.raises(StoreError, match="the tables are of version 1, and only version") as error:
        transfer(str(tmp_path / "old.db"), first)
    assert "harness list" in str(error.value.hint)
    assert not Path(first).exists()
