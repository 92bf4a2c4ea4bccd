"""Disturbances of the machine are reported only if they occurred. The report says whether the machine was
calibrated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from harness.machine.calibration import Calibration, Limits, Scatter
from harness.metrics import METRICS
from harness.report.build import render
from harness.report.machine import NOT_CALIBRATED, calibrated, disturbances
from harness.store.rows import CalibrationRow
from tests.report.parsed import Page
from tests.report.synthetic import synthetic_report

QUIET: dict[str, Any] = {
    "cpu_percent": 99.0,
    "load": 1.0,
    "other_cpu_percent": None,
    "swap_in_bytes": 0,
    "swap_out_bytes": 0,
    "cpu_mhz": 2600.0,
    "gpu_memory_bytes": None,
    "gpu_process_bytes": None,
    "gpu_throttling": None,
    "state": "running",
    "throttled_seconds": None,
    "suspended_seconds": 0.0,
    "clock_jump_seconds": 0.0,
}


def looks(trials: int = 20, disturbed: int = 0, **noise: Any) -> pd.DataFrame:
    """Two observations of each trial. The first `disturbed` trials have the given noise."""
    return pd.DataFrame(
        [
            {"trial": trial, **QUIET, **(noise if trial < disturbed else {})}
            for trial in range(trials)
            for _ in range(2)
        ]
    )


def test_a_quiet_machine_has_no_notes() -> None:
    assert disturbances(looks()) == ()
    assert disturbances(looks(0)) == ()


@pytest.mark.parametrize(
    ("disturbed", "noise", "text"),
    [
        (3, {"load": 2.6}, "other programs kept 1.6 cores busy during 3 of 20 measured trials"),
        (5, {"cpu_mhz": 1300.0}, "the CPU's frequency changed between trials, 1,300 to 2,600 MHz"),
        (1, {"swap_in_bytes": 3 << 20, "swap_out_bytes": 1 << 20}, "the system swapped 4 MiB during 1 of 20"),
        (
            2,
            {"gpu_throttling": ["power cap", "hardware thermal"]},
            "throttled (hardware thermal, power cap) during 2 of 20",
        ),
        (
            1,
            {"gpu_memory_bytes": 9 << 30, "gpu_process_bytes": 4 << 30},
            "other processes held 5 GiB of the GPU's memory",
        ),
        (1, {"state": "stopped"}, "a signal or a debugger stopped 1 of 20 measured trials"),
        (
            2,
            {"throttled_seconds": 1.25},
            "stopped processes for 2.5 s, summed over cores, during 2 of 20",
        ),
        (1, {"suspended_seconds": 60.0}, "the machine was suspended during 1 of 20 measured trials"),
        (
            1,
            {"clock_jump_seconds": -864_000.0},
            "was set by up to 864,000 s back during 1 of 20",
        ),
    ],
)
def test_each_kind_of_noise_is_reported(disturbed: int, noise: dict[str, Any], text: str) -> None:
    (note,) = disturbances(looks(disturbed=disturbed, **noise))
    assert text in note


@pytest.mark.parametrize(
    ("disturbed", "noise"),
    [
        (2, {"load": 2.6}),
        (20, {"load": 1.3}),
        (20, {"load": 9.0, "other_cpu_percent": 40.0}),
        (20, {"load": 4.0, "cpu_percent": 390.0}),
        (20, {"cpu_mhz": None}),
        (20, {"swap_in_bytes": 4096}),
        (20, {"gpu_memory_bytes": 9 << 30, "gpu_process_bytes": 0}),
        (20, {"gpu_throttling": []}),
        (20, {"state": "disk-sleep"}),
        (20, {"throttled_seconds": 0.0}),
        (20, {"state": None, "suspended_seconds": None, "clock_jump_seconds": None}),
    ],
)
def test_usual_or_unknown_values_are_no_disturbance(disturbed: int, noise: dict[str, Any]) -> None:
    assert disturbances(looks(disturbed=disturbed, **noise)) == ()


def test_programs_of_other_containers_are_noticed_by_the_time_that_the_host_was_busy() -> None:
    """Their load may not be shown in this container."""
    (note,) = disturbances(looks(disturbed=20, load=0.1, other_cpu_percent=250.0))
    assert note == "other programs kept 2.5 cores busy during 20 of 20 measured trials"


def test_first_looks_that_have_no_processor_time_count_as_one_core() -> None:
    assert disturbances(looks(disturbed=20, cpu_percent=None, load=1.4)) == ()
    assert disturbances(looks(disturbed=20, cpu_percent=None, load=1.6)) != ()


def calibration(sigma: float = 0.05) -> CalibrationRow:
    limits = Limits(
        device="cpu",
        threads=1,
        matmul={"fp32": 1.1e11, "fp16": None},
        copy_bandwidth=4e10,
        read_bandwidth=4.2e10,
        timer_step_ns=40.0,
        timer_call_ns=70.0,
    )
    scatter = Scatter(
        metric="tokens_per_second", family="time", sigma=sigma, rounds=10, run="r-1", primary=True
    )
    facts = Calibration(limits=limits, scatter=(scatter,), quick=False).plain()
    return CalibrationRow(
        environment_digest="e", facts=facts, code_digest="c", made_at="2031-05-06T07:08:09+00:00"
    )


def test_a_calibration_shows_ceilings_and_the_rounds_that_its_scatter_needs() -> None:
    facts = dict(calibrated(calibration(), METRICS["decode_tokens_per_second"], margin=0.05, rounds=10))
    assert facts["calibrated"] == "2031-05-06 07:08 UTC"
    assert facts["matrix product, fp32"] == "110 GFLOP/s"
    assert "matrix product, fp16" not in facts
    assert facts["scatter of tokens per second"] == "5.00% between identical trials of a round"
    assert facts["rounds needed"] == "10 for a margin of 5%; this study has 10"
    noisy = dict(calibrated(calibration(0.2), METRICS["decode_tokens_per_second"], margin=0.05, rounds=10))
    assert noisy["rounds needed"].startswith("152 ")


def test_the_report_says_whether_the_machine_was_calibrated_and_quiet() -> None:
    report = synthetic_report()
    page = Page(render(report))
    assert NOT_CALIBRATED in page.all("main")[0].text
    assert "The machine was quiet" in page.all("main")[0].text
    noisy = replace(
        report, telemetry=report.telemetry.assign(other_cpu_percent=200.0), calibration=calibration()
    )
    page = Page(render(noisy))
    assert NOT_CALIBRATED not in page.all("main")[0].text
    assert "The machine was quiet" not in page.all("main")[0].text
    warnings = " ".join(part.text for part in page.by_class("warnings"))
    assert "the machine was disturbed: other programs kept 2.0 cores busy during 120 of 120" in warnings
