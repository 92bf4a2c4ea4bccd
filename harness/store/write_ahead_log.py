"""Whether the write-ahead log beside a SQLite file has lost transactions that were acknowledged.

SQLite reads a log up to the first frame that is not as it was written, and forgets what comes after it,
because this is what a crash leaves of the last transaction. If a disk has damaged the log, there are several
transactions after that frame. They would be lost without a word, and the log with them.

The format is that of "WAL Format" in SQLite's documentation (sqlite.org/fileformat2.html#walformat).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MOST_BYTES = 16 * 2**20
"""More of a log is not read. SQLite begins it anew after about 4 MB, unless somebody reads meanwhile."""

_HEADER, _FRAME_HEADER = 32, 24
_LITTLE, _BIG = 0x377F0682, 0x377F0683
_MASK = 0xFFFFFFFF
_SMALLEST_PAGE = 512
_LOOKS = 3
"""A program that is writing may begin the log anew while it is read."""

Sums = tuple[int, int]


class _Frame(NamedTuple):
    """A page of a transaction. `ends` says whether it is the last one, and `sound` whether it is as it was
    written after the frame before it.
    """

    ends: bool
    sound: bool


def lost_transactions(database: Path) -> int:
    """How many transactions of the log SQLite would forget although a crash cannot explain it: 0, or at least
    two. One can be what a crash has left.
    """
    log = database.with_name(f"{database.name}-wal")
    lost = 0
    for _ in range(_LOOKS):
        content = _content(log, MOST_BYTES)
        lost = _lost(content, _page_bytes(database)) if len(content) >= _HEADER + _FRAME_HEADER else 0
        if not lost or _content(log, _HEADER) == content[:_HEADER]:
            break
    return lost


def _content(file: Path, most: int) -> bytes:
    """The beginning of a file; empty if there is none that can be read."""
    try:
        with file.open("rb") as stream:
            return stream.read(most)
    except OSError:
        return b""


def _page_bytes(database: Path) -> int:
    size = int.from_bytes(_content(database, 18)[16:], "big")
    return 65_536 if size == 1 else size


def _lost(content: bytes, page_bytes: int) -> int:
    if page_bytes < _SMALLEST_PAGE:
        return 0
    sums, order = _header_sums(content)
    frames = list(_frames(content, page_bytes, sums, order))
    first = next((number for number, frame in enumerate(frames) if not frame.sound), len(frames))
    after = sum(frame.ends for frame in frames[first:])
    return after if after > 1 else 0


def _header_sums(content: bytes) -> tuple[Sums | None, str]:
    """The checksum of the header, or None if it is damaged, and the order of bytes of all checksums."""
    magic, *_, first, second = struct.unpack_from(">8I", content)
    order = {_LITTLE: "<", _BIG: ">"}.get(magic)
    if order is None or _sums(content[:24], (0, 0), order) != (first, second):
        return None, "<"
    return (first, second), order


def _frames(content: bytes, page_bytes: int, sums: Sums | None, order: str) -> Iterator[_Frame]:
    """The frames of the log. Those of an earlier one, which may lie behind, have other salts."""
    size = _FRAME_HEADER + page_bytes
    salts = content[16:24] if sums is not None else content[_HEADER + 8 : _HEADER + 16]
    for start in range(_HEADER, len(content) - size + 1, size):
        pages, first, second = struct.unpack_from(">I8xII", content, start + 4)
        if content[start + 8 : start + 16] != salts:
            yield _Frame(ends=False, sound=False)
            continue
        made = None
        if sums is not None:
            head = _sums(content[start : start + 8], sums, order)
            made = _sums(content[start + _FRAME_HEADER : start + size], head, order)
            sums = (first, second)
        yield _Frame(ends=pages > 0, sound=made == (first, second))


def _sums(content: bytes, sums: Sums, order: str) -> Sums:
    """SQLite's checksum, which goes on from that of what comes before."""
    one, two = sums
    for first, second in struct.iter_unpack(f"{order}2I", content):
        one = (one + first + two) & _MASK
        two = (two + second + one) & _MASK
    return one, two
