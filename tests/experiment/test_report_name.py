"""The names of reports: readable, safe in every file system, and different for different variants."""

from __future__ import annotations

import itertools
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment.report_name import report_name

SAFE = set(string.ascii_lowercase + string.digits + "._=,+-")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (report_name("kv_cache", "cpu"), "kv_cache.html"),
        (report_name("kv_cache", "smoke"), "kv_cache.smoke.html"),
        (report_name("kv_cache", "cpu", ["design.rounds=4"]), "kv_cache+design.rounds=4.html"),
        (report_name("a", "cpu", ["x=1", "y=2"]), "a+x=1+y=2.html"),
        (report_name("a", "gpu", ["x=1"], plant="cache-parity/no-offset"),
         "a.gpu+x=1.planted-cache-parity-no-offset.html"),
        (report_name("a", "cpu", run="69b8aa-2"), "a.run-69b8aa-2.html"),
    ],
)  # fmt: skip
def test_a_name_says_what_differs_from_the_plain_run(name: str, expected: str) -> None:
    assert name == expected


def test_variants_that_look_alike_have_different_names() -> None:
    variants = [
        ["a=x"],
        ["a=X"],
        ["a= x"],
        ["a=x/../y"],
        ["a=x-..-y"],
        ["a=x", "b=y"],
        ["a=x+b=y"],
        ["a=[1]"],
        ["a={1}"],
        ["a=" + "1" * 500],
        ["a=" + "1" * 501],
    ]
    names = [report_name("s", "cpu", settings) for settings in variants]
    different = [(one, other) for one, other in itertools.combinations(names, 2) if one == other]
    assert different == []


@given(st.lists(st.text(min_size=1), max_size=5))
def test_every_name_is_safe_and_short(settings: list[str]) -> None:
    name = report_name("s", "cpu", settings)
    assert set(name) <= SAFE
    assert len(name) <= 110
    assert name == report_name("s", "cpu", settings)


def test_a_secret_does_not_enter_a_name() -> None:
    assert "kanari" not in report_name("s", "cpu", ["base.command=[x, --token=kanari3vogel]"])
