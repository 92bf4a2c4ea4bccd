"""A clock of the machine that is set wrong: it changes times in the store, but not the order of its rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness.store import rows

JUMPS = (10, -10)
"""Days by which a clock jumps."""


def set_clock(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    """From now on, the clock of the store is wrong by this many days."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = UTC) -> Any:
            return datetime.now(tz) + timedelta(days=days)

    monkeypatch.setattr(rows, "datetime", Wrong)
