"""How the form `at_least` is settled."""

from __future__ import annotations

from typing import ClassVar

from harness.analysis.claims.bounds import BoundSettlement
from harness.study.claims.at_least import AtLeastClaim


class AtLeastSettlement(BoundSettlement[AtLeastClaim]):
    """`Bound` decides: the ratio is at least the claimed one."""

    side: ClassVar[int] = 1
