"""The form `holds`: an invariant holds for every arm."""

from __future__ import annotations

from typing import ClassVar

from harness.study.checks.checker import StudyChecker
from harness.study.claims.base import Claim
from harness.study.reading.yaml_document import KeyPath


class HoldsClaim(Claim):
    """An invariant holds for every arm, with the study's own model and inputs."""

    exact: ClassVar[bool] = True

    holds: str
    """The invariant that holds for every arm."""

    def compares_values(self) -> bool:
        return False

    def check(self, checker: StudyChecker, path: KeyPath) -> None:
        checker.check_known(
            (*path, "holds"),
            self.holds,
            checker.study.invariants,
            "the study's `invariants` do not include",
        )
