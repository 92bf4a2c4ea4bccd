"""A damaged database is refused when it is opened, whatever is damaged and however, and never written to."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store import integrity
from harness.store.engine import make_engine, parse_location, reading
from harness.store.rows import VerdictRow
from harness.store.store import Store, open_store
from tests.support.stored_run import create, finish, trial

PAGE = 4096
KINDS = {
    "header of the file",
    "table leaf",
    "table interior",
    "index leaf",
    "index interior",
    "overflow",
    "freelist trunk",
    "freelist leaf",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with pages of every kind."""
    path = tmp_path_factory.mktemp("sound") / "harness.db"
    specs = [trial(seed) for seed in range(400)]
    with open_store(path) as store:
        run = create(store, trials=specs)
        finish(store, run, *specs[:8], samples=600)
        store.record_study("kv_cache", "# A long comment\n" * 1000, "{}")
        verdict = VerdictRow(
            claim="c",
            verdict="confirmed",
            effect=None,
            low=None,
            high=None,
            n=1,
            claimed=None,
            reason="r" * 100_000,
            code_digest="c",
        )
        store.record_verdicts(run, [verdict])
        store.record_verdicts(run, [])
    assert pages(path).keys() == KINDS
    return path


def pages(path: Path) -> dict[str, list[int]]:
    """The numbers of the pages of each kind, from 1."""
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT name, pagetype, pageno FROM dbstat").fetchall()
    except sqlite3.OperationalError:
        pytest.skip("this SQLite has no table dbstat")
    trees = dict(connection.execute("SELECT name, type FROM sqlite_master").fetchall())
    connection.close()
    trees |= {"sqlite_schema": "table", "samples": "index"}  # a table without rowids is such a tree
    kinds: dict[str, list[int]] = {"header of the file": [1]}
    for name, page_type, number in rows:
        short = {"leaf": f"{trees[name]} leaf", "internal": f"{trees[name]} interior"}.get(
            page_type, page_type
        )
        if number != 1:
            kinds.setdefault(short, []).append(number)
    content = path.read_bytes()

    def number_at(offset: int) -> int:
        return int.from_bytes(content[offset : offset + 4], "big")

    trunk = number_at(32)
    while trunk:
        start = (trunk - 1) * PAGE
        kinds.setdefault("freelist trunk", []).append(trunk)
        leaves = [number_at(start + 8 + 4 * index) for index in range(number_at(start + 4))]
        kinds.setdefault("freelist leaf", []).extend(leaves)
        trunk = number_at(start)
    return kinds


def flipped_bit(page: bytes, chance: random.Random) -> bytes:
    """In the header of the page or of its cells, where its structure is."""
    at = chance.randrange(40)
    return page[:at] + bytes([page[at] ^ 1 << chance.randrange(8)]) + page[at + 1 :]


def noise(page: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(len(page))


def zeros(page: bytes, _: random.Random) -> bytes:
    return bytes(len(page))


def half(page: bytes, _: random.Random) -> bytes:
    """A write that was torn: what was on the disk before is in the second half."""
    return page[: PAGE // 2] + bytes(PAGE // 2)


DAMAGES = [flipped_bit, noise, zeros, half]


def damaged_copies(
    sound: Path, folder: Path, damage: Callable[[bytes, random.Random], bytes], most: int
) -> Iterator[tuple[str, Path]]:
    """Copies in which one page is damaged, with the kind of the page, for at most so many pages of a kind."""
    chance = random.Random(damage.__name__)
    content = sound.read_bytes()
    for kind, numbers in pages(sound).items():
        for number in chance.sample(numbers, min(most, len(numbers))):
            start = (number - 1) * PAGE
            page = damage(content[start : start + PAGE], chance)
            path = folder / "harness.db"
            path.write_bytes(content[:start] + page + content[start + PAGE :])
            yield f"{kind} {number}", path


def is_refused(path: Path) -> bool:
    """Whether the store is refused with one line."""
    try:
        open_store(path).close()
    except StoreError as error:
        return "\n" not in str(error)
    return False


def rows(path: Path) -> list[str]:
    """Everything in a database."""
    connection = sqlite3.connect(path)
    connection.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def is_noticed(path: Path) -> bool:
    """Whether a store of which a content was changed says so: the chain, or the digest of a shared row."""
    try:
        with open_store(path) as store:
            [run] = store.runs()
            return bool(store.chain(run).problems) or _studies_changed(store)
    except (StoreError, ValueError):
        return True


def _studies_changed(store: Store) -> bool:
    from harness.store.store import study_key

    return store.study(study_key("kv_cache", "# A long comment\n" * 1000, "{}")) != (
        "# A long comment\n" * 1000,
        "{}",
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_page_is_refused_or_changed_nothing(
    sound: Path, tmp_path: Path, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    before, refused = rows(sound), set()
    for where, path in damaged_copies(sound, tmp_path, damage, most=12):
        content = path.read_bytes()
        if is_refused(path):
            refused.add(where.rpartition(" ")[0])
        else:
            assert rows(path) == before or is_noticed(path), where
        assert path.read_bytes() == content, where
        assert list(tmp_path.iterdir()) == [path], where
    assert refused >= KINDS - {"overflow", "freelist leaf", "freelist trunk", "header of the file"}


def test_a_large_store_is_refused_as_well(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "COMPLETE_BYTES", 0)
    open_store(shutil.copy(sound, tmp_path / "sound.db")).close()
    (tmp_path / "sound.db").unlink()
    for where, path in damaged_copies(sound, tmp_path, noise, most=12):
        content = path.read_bytes()
        assert is_refused(path) or where.startswith(("overflow", "freelist")), where
        assert path.read_bytes() == content, where


def test_a_row_that_is_missing_from_an_index_is_found(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a lost write: every page is sound, but they do not fit together."""
    path = tmp_path / "harness.db"
    shutil.copy(sound, path)
    connection = sqlite3.connect(path, isolation_level=None)
    [[index]] = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_attempts_1'"
    )
    connection.close()
    with path.open("r+b") as file:
        file.seek((index - 1) * PAGE)
        page = bytearray(file.read(PAGE))
        cells = int.from_bytes(page[3:5], "big")
        page[3:5] = (cells - 1).to_bytes(2, "big")
        file.seek((index - 1) * PAGE)
        file.write(page)
    content = path.read_bytes()
    for limit in (integrity.COMPLETE_BYTES, 0):
        monkeypatch.setattr(integrity, "COMPLETE_BYTES", limit)
        with pytest.raises(StoreError, match=r"the database is damaged \("):
            open_store(path)
    assert path.read_bytes() == content


def test_reading_the_pages_of_a_huge_table_ends_in_time(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "PAGES_SECONDS", 0.2)
    endless = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n) --"
    engine = make_engine(parse_location(sound))
    with reading(engine) as connection:
        integrity._read_every_page(connection, endless)
    engine.dispose()
