"""A claimed ratio is confirmed by its interval, never by its estimate alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.analysis.claims import _ratio_verdict
from harness.study.claim import RatioClaim

CLAIM = RatioClaim(
    source="test", says="Twice.", level={"cache": "static"}, ratio=2.0, within=1.25
)  # 1.6 to 2.5


@pytest.mark.parametrize(
    ("low", "low90", "high90", "high", "verdict"),
    [
        (1.7, 1.8, 2.2, 2.3, "confirmed"),
        (1.5, 1.7, 2.3, 2.6, "confirmed"),  # the 90 % interval decides
        (1.5, 1.55, 2.2, 2.3, "undecided"),
        (1.7, 1.8, 2.55, 2.7, "undecided"),
        (2.4, 2.55, 3.0, 3.2, "undecided"),
        (2.55, 2.6, 3.0, 3.2, "refuted"),
        (1.0, 1.1, 1.5, 1.55, "refuted"),
    ],
)
def test_the_interval_decides(low: float, low90: float, high90: float, high: float, verdict: str) -> None:
    contrast: Any = SimpleNamespace(ratio=2.0, low=low, low90=low90, high90=high90, high=high)
    assert _ratio_verdict(CLAIM, contrast) == verdict
