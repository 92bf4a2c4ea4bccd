"""Processes that a check starts compute as the one that starts them does."""

from __future__ import annotations

import torch

from harness.invariants.base import PLANTED
from harness.invariants.registry import INVARIANTS
from harness.invariants.support.subprocesses import in_processes
from harness.machine.matmul import onednn_settings


def report_state(products: str, bugs: int) -> None:
    same = onednn_settings().fp32_precision == products and len(PLANTED) == bugs
    raise SystemExit(7 if same and torch.get_num_threads() == 1 else 1)


def test_they_have_the_same_bugs_and_the_same_library_for_products() -> None:
    settings = onednn_settings()
    before = settings.fp32_precision
    other = "ieee" if before == "bf16" else "bf16"
    settings.fp32_precision = other
    try:
        with INVARIANTS["causality"].planted_bugs[0].plant():
            assert in_processes(report_state, [(other, 1)]) == [7]
    finally:
        settings.fp32_precision = before
