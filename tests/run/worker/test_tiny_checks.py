"""Checks on tiny models are made once for all trials that share a folder, and told of each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.invariants.base import Check, Invariant, PlantedBug
from harness.invariants.subjects import Subject
from harness.run.job import Job
from harness.run.worker import tiny_checks
from harness.trial.spec import TrialSpec


class Counting(Invariant[Subject]):
    """Two checks a level, the second without a number; counts how often they are made, and breaks where it is
    told to.
    """

    name: ClassVar[str] = "counting"
    statement: ClassVar[str] = "What is counted is counted."
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = ()
    levels: ClassVar[tuple[str, ...]] = ("any", "other")

    def __init__(self) -> None:
        self.made = 0
        self.breaks = False

    def check_generic(self, level: str) -> Iterator[Check]:
        self.made += 1
        for case, deviation in ((f"{level}, first", 0.0), (f"{level}, second", math.nan)):
            if self.breaks and math.isnan(deviation):
                raise RuntimeError("broken off")
            yield Check(
                case=case,
                precision="float64",
                passed=deviation == 0,
                deviation=deviation,
                tolerance=1e-10,
                compared=3,
                skipped=0,
            )

    def check_subject(self, subject: Subject) -> Iterator[Check]:
        yield from ()


def job(shared: Path | None, *, arm: str = "a", task: str = "train", **others: Any) -> Job:
    spec = TrialSpec(
        purpose="check",
        task="counting",
        arm=arm,
        condition={},
        seed=0,
        round=0,
        config={"task": task, "configs": []},
    )
    folder = str(shared) if shared else None
    return Job(spec=spec, events="", checkpoints={}, shared=folder, **{"threads": 1, **others})


def plain(checks: Iterator[Check]) -> list[tuple[str, str, bool]]:
    return [(check.case, repr(check.deviation), check.passed) for check in checks]


BOTH = [("any, first", "0.0", True), ("any, second", "nan", False)]


def test_every_arm_is_told_the_checks_that_one_made(tmp_path: Path) -> None:
    invariant = Counting()
    for arm in ("a", "b"):
        assert plain(tiny_checks(invariant, "any", job(tmp_path, arm=arm))) == BOTH
    assert invariant.made == 1


def test_without_a_shared_folder_each_trial_makes_its_own() -> None:
    invariant = Counting()
    for _ in range(2):
        assert plain(tiny_checks(invariant, "any", job(None))) == BOTH
    assert invariant.made == 2


@pytest.mark.parametrize(
    "other", [{"task": "generate"}, {"plant": "counting/bug"}, {"threads": 2}], ids=str
)  # decoding has another library for products
def test_what_may_come_out_differently_is_not_shared(tmp_path: Path, other: dict[str, Any]) -> None:
    invariant = Counting()
    list(tiny_checks(invariant, "any", job(tmp_path)))
    list(tiny_checks(invariant, "any", job(tmp_path, **other)))
    assert plain(tiny_checks(invariant, "other", job(tmp_path)))[0][0] == "other, first"
    assert invariant.made == 3


def test_checks_that_were_broken_off_are_made_again(tmp_path: Path) -> None:
    invariant = Counting()
    invariant.breaks = True
    with pytest.raises(RuntimeError, match="broken off"):
        list(tiny_checks(invariant, "any", job(tmp_path)))
    invariant.breaks = False
    assert plain(tiny_checks(invariant, "any", job(tmp_path))) == BOTH
    assert invariant.made == 2
