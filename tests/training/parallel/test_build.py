"""The layout that a setting asks for."""

from __future__ import annotations

import pytest

from harness.training.parallel.build import build_layout
from harness.training.parallel.config import ONE_PROCESS, Parallel


def test_one_process_needs_no_process_group() -> None:
    assert build_layout(ONE_PROCESS).ranks == 1


def test_several_ranks_never_run_as_one() -> None:
    with pytest.raises(RuntimeError, match="2 ranks were asked for, but this process is one of 1"):
        build_layout(Parallel(data=2))
