"""How the form `at_most` is settled."""

from __future__ import annotations

from typing import ClassVar

from harness.analysis.claims.bounds import BoundSettlement
from harness.study.claims.at_most import AtMostClaim


class AtMostSettlement(BoundSettlement[AtMostClaim]):
    """`Bound` decides: the ratio is at most the claimed one."""

    side: ClassVar[int] = -1
