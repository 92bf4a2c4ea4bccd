"""Every invariant holds, and every planted bug is found at every level that it concerns, and at no other."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from harness.errors import InputError
from harness.invariants.base import (
    BITWISE,
    CURVES,
    PLANTED,
    TOLERANCES,
    Invariant,
    PlantedBug,
    replaced,
    tolerance_of,
)
from harness.invariants.registry import INVARIANTS, find_invariant
from harness.models import loss

SEVERAL_RANKS = ("ranks-parity", "communicated-bytes")
"""Their checks start processes for each case, so only the bugs of their first level are quick."""
COMPILED = "compiled-parity"
"""It compiles for half a minute. With a bug, it compiles less."""


def marks(
    invariant: Invariant[Any], level: str, bug: PlantedBug | None = None
) -> tuple[pytest.MarkDecorator, ...]:
    of_ranks = invariant.name in SEVERAL_RANKS and not level == invariant.levels[0] == _first_level(
        bug, level
    )
    is_slow = of_ranks or (invariant.name == COMPILED and bug is None)
    return (pytest.mark.slow,) if is_slow else ()


def _first_level(bug: PlantedBug | None, level: str) -> str:
    return level if bug is None else bug.levels[0]


LEVELS = [
    pytest.param(invariant, level, id=f"{name}-{level}", marks=marks(invariant, level))
    for name, invariant in INVARIANTS.items()
    for level in invariant.levels
]
KILLS = [
    pytest.param(invariant, bug, level, id=f"{name}-{bug.name}-{level}", marks=marks(invariant, level, bug))
    for name, invariant in INVARIANTS.items()
    for bug in invariant.planted_bugs
    for level in invariant.levels
]


@pytest.mark.parametrize(("invariant", "level"), LEVELS)
def test_it_holds_in_both_precisions_after_every_bug_was_planted_and_taken_out_again(
    invariant: Invariant[Any], level: str
) -> None:
    for bug in invariant.planted_bugs:
        with bug.plant():
            assert [bug] == PLANTED
    assert not PLANTED
    checks = list(invariant.check(level))
    assert {check.precision for check in checks} == {"float64", "float32"}
    assert [check for check in checks if not check.passed] == []
    assert all(check.compared > 0 for check in checks)


@pytest.mark.parametrize(("invariant", "bug", "level"), KILLS)
def test_a_planted_bug_is_found_at_the_levels_it_concerns_and_at_no_other(
    invariant: Invariant[Any], bug: PlantedBug, level: str
) -> None:
    with bug.plant():
        detected = any(not check.passed for check in invariant.check(level))
    assert detected == (level in bug.levels)


def test_every_invariant_has_bugs_of_its_own_at_levels_that_exist() -> None:
    for invariant in INVARIANTS.values():
        assert invariant.planted_bugs
        assert len({bug.name for bug in invariant.planted_bugs}) == len(invariant.planted_bugs)
        for bug in invariant.planted_bugs:
            assert bug.levels
            assert set(bug.levels) <= set(invariant.levels)


def test_unknown_names_are_refused_with_a_suggestion() -> None:
    assert find_invariant("cache-parity") is INVARIANTS["cache-parity"]
    with pytest.raises(InputError, match=r"'causalty'; did you mean 'causality'\?"):
        find_invariant("causalty")
    with pytest.raises(InputError, match=r"cache-bytes has no level 'statik'; did you mean 'static'\?"):
        INVARIANTS["cache-bytes"].check("statik")


def test_a_precision_without_a_tolerance_is_refused() -> None:
    with pytest.raises(InputError, match=r"no tolerance for complex64; run the study in bfloat16, float16"):
        tolerance_of(torch.complex64)
    assert set(BITWISE) == set(CURVES) == set(TOLERANCES)


def test_listing_invariants_does_without_torch() -> None:
    code = "import sys, harness.invariants.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_function_is_replaced_wherever_it_was_imported_and_put_back() -> None:
    from harness.invariants.padding_parity import checks as padding_parity_cases

    original = loss.cross_entropy
    with replaced(original, max):
        assert loss.cross_entropy is max
        assert padding_parity_cases.cross_entropy is max  # type: ignore[attr-defined]
    assert loss.cross_entropy is original
    assert padding_parity_cases.cross_entropy is original  # type: ignore[attr-defined]
