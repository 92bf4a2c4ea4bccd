"""Tests of the pieces of a page."""

from __future__ import annotations

from harness.verify.html_pieces import count_numbers, pieces


def test_numbers_of_a_long_page_are_those_of_its_pieces() -> None:
    cells = "".join(
        f"<tr><td title='{n}'>{n / 7:.4f} and {n:,} &lt; 3&amp;4</td><td>none</td></tr>\n"
        for n in range(4000)
    )
    page = f"<style>td {{ margin: 3px }}</style><h2>2 tables</h2><table>{cells}</table><p>the last one: 7.5"
    assert len(page) > 3 * 65_536
    assert count_numbers(page) == sum(piece.numbers for piece in pieces(page)) == 1 + 4 * 4000 + 1
