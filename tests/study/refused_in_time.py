"""Hostile input is refused before it costs anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from harness.errors import StudyError

SECONDS = 2.0
"""CPU time that no refusal comes near, also on a slow machine: on the machine of the tests they take up to
0.4 seconds. Without the limits, the slowest of these take 4 to 15 seconds.
"""


def refused(action: Callable[[], Any]) -> str:
    """The one short line that refuses, which takes little CPU time."""
    before = time.process_time()
    with pytest.raises(StudyError) as caught:
        action()
    assert time.process_time() - before < SECONDS
    line = str(caught.value)
    assert caught.value.exit_code == 2
    assert "\n" not in line
    assert len(line) < 600
    return line
