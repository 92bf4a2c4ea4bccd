"""Claims as TeX macros with names that TeX allows."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from harness.analysis.results import Numbers, SettledClaim
from harness.cli.exports.macros import macro_name, tex_macros
from harness.report.inputs import ReportInput
from tests.report.synthetic import synthetic_report

STATISTICS = ["Effect", "Low", "High", "Claimed", "N", "Verdict"]


def with_claims(*claims: SettledClaim) -> ReportInput:
    report = synthetic_report()
    return replace(report, analysis=replace(report.analysis, claims=claims))


def settled(name: str, numbers: Numbers | None = None) -> SettledClaim:
    return SettledClaim(
        id=name, source="me", says="So.", verdict="confirmed", n=10, numbers=numbers or Numbers()
    )


def macros(report: ReportInput) -> dict[str, str]:
    text = tex_macros([report])
    pairs = re.findall(r"^\\newcommand\{\\(\w+)\}\{(.*)\}$", text, re.MULTILINE)
    assert len(pairs) == len(text.splitlines()) - 1
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@pytest.mark.parametrize(
    ("name", "macro"),
    [("kv-speedup", "KvSpeedup"), ("a_2.x", "ATwoX"), ("10k", "OneZeroK"), ("lossLess", "LossLess")],
)
def test_a_name_has_only_letters(name: str, macro: str) -> None:
    assert macro_name(name) == macro


def test_a_claim_has_one_macro_per_statistic() -> None:
    numbers = Numbers(effect=2.279, low=2.2, high=12_345.6, claimed=2.33)
    written = macros(with_claims(settled("kv-speedup", numbers)))
    assert [name.removeprefix("KvCacheKvSpeedup") for name in written] == STATISTICS
    assert list(written.values()) == ["2.28", "2.2", "12346", "2.33", "10", "confirmed"]


def test_numbers_without_a_value_or_an_end_are_dashes() -> None:
    written = macros(with_claims(settled("a", Numbers(effect=math.inf, low=0.0, high=math.inf))))
    assert list(written.values()) == [r"\ensuremath{\infty}", "--", "--", "--", "10", "confirmed"]


def test_ids_with_equal_letters_have_different_names() -> None:
    written = macros(with_claims(settled("a-b"), settled("a_b"), settled("a.b")))
    stems = {name.removesuffix("Verdict") for name in written if name.endswith("Verdict")}
    assert stems == {"KvCacheAB", "KvCacheABAgain", "KvCacheABAgainAgain"}
