"""Tests of the pieces of a page."""

from __future__ import annotations

import base64
import zlib

import pytest

from harness.verify.html_pieces import count_numbers, pieces


def test_numbers_of_a_long_page_are_those_of_its_pieces() -> None:
    cells = "".join(
        f"<tr><td title='{n}'>{n / 7:.4f} and {n:,} &lt; 3&amp;4</td><td>none</td></tr>\n"
        for n in range(4000)
    )
    page = f"<style>td {{ margin: 3px }}</style><h2>2 tables</h2><table>{cells}</table><p>the last one: 7.5"
    assert len(page) > 3 * 65_536
    assert count_numbers(page) == sum(piece.numbers for piece in pieces(page)) == 1 + 4 * 4000 + 1


def link(packed: bytes) -> str:
    return f'<a href="data:application/gzip;base64,{base64.b64encode(packed).decode()}">CSV</a>'


def packed(text: str, level: int) -> bytes:
    packing = zlib.compressobj(level, wbits=31)
    return packing.compress(text.encode()) + packing.flush()


def test_compressed_samples_are_compared_as_text() -> None:
    text = "trial,value\n" + "".join(f"{n},{n / 7}\n" for n in range(500))
    fast, small = packed(text, 1), packed(text, 9)
    assert fast != small
    assert pieces(link(fast)) == pieces(link(small))
    assert pieces(link(packed(text.replace("0.5", "0.6"), 9))) != pieces(link(small))


@pytest.mark.parametrize("damage", [b"\x1f\x8b", b"", b"nothing"])
def test_what_cannot_be_unpacked_is_compared_as_it_is(damage: bytes) -> None:
    assert pieces(link(damage))[0].content in link(damage)
    intact = packed("1", 9)
    assert pieces(link(intact + damage)) != pieces(link(intact)) or not damage
