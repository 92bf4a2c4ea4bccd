"""Who was fooled: source 001, whose k = 8 made an eighth of the updates; those who compared BLEU of two
tokenizations; those who timed a kernel's launch for the kernel; and those whose run was faster than anybody's
because it had seen the test."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.analysis.analyse import analyse
from harness.analysis.frames import MemoryFrames, sample_frame
from harness.store.rows import TrialRow
from harness.study.loaded import LoadedStudy
from harness.telemetry.clock import Clock, WarmUp, time_units
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import claim
from tests.analysis.written import Written, with_sentences, written_study
from tests.traps.stored import judged

CLAIM = {"source": "x", "says": "Better.", "level": {"optimizer": "lion"}, "direction": "better"}


def eighth(arm: str) -> dict[str, float]:
    return {"updates": 240.0 if arm == "optimizer=adam" else 30.0, "training_tokens": 245_760.0}


def test_accumulation_with_fewer_updates_declared_by_its_tokens_alone(tmp_path: Path) -> None:
    for parity in ({}, {"match": ["training_tokens"]}):
        folder = tmp_path / str(len(parity))
        folder.mkdir()
        loaded = training_study(claims={"it": CLAIM}, parity=parity)
        settled = claim(judged(folder, loaded, Learned(loaded=loaded, spent=eighth).frames()), "it")
        assert (settled.verdict, "confound: updates is 30, but 240 for the baseline" in settled.sentence) == (
            "invalid",
            True,
        )


def test_mixed_signatures(tmp_path: Path) -> None:
    better = {"source": "x", "says": "Better.", "level": {"decoding": "beam"}, "direction": "better"}
    planted = Written(
        right={"greedy": 0.6, "beam": 0.66, "wide": 0.6}, loaded=written_study(claims={"it": better})
    )
    frames = planted.frames()
    scored = frames.sentences[2].scores["bleu"]
    other = replace(scored, signature=scored.signature.replace("tok:13a", "tok:none"))
    for verdict, signed in (("confirmed", scored), ("invalid", other)):
        (tmp_path / verdict).mkdir()
        written = with_sentences(frames, 2, scores={"bleu": signed})
        settled = claim(judged(tmp_path / verdict, planted.loaded, written), "it")
        assert settled.verdict == verdict
        assert all(("tok:13a" in settled.sentence, "tok:none" in settled.sentence)) == (verdict == "invalid")


def test_a_run_faster_than_its_reference(tmp_path: Path) -> None:
    for at_least, verdict in ((2.5, "confirmed"), (6.0, "invalid")):
        folder = tmp_path / verdict
        folder.mkdir()
        references = [{"source": "001 §2", "metric": "loss", "updates": 10, "at_least": at_least}]
        loaded = training_study(claims={"it": CLAIM}, references=references)
        settled = judged(folder, loaded, Learned(loaded=loaded).frames())
        assert claim(settled, "it").verdict == verdict
        if verdict == "invalid":
            assert "learns faster than its reference: loss is 5." in settled.invalid["optimizer=lion"]
            assert "but 001 §2 reports at least 6 until update 10" in settled.invalid["optimizer=lion"]


def test_time_is_read_only_when_the_device_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launch returns at once; the work takes 5 seconds. Unsynchronised, every unit would take none."""
    device = {"done_at": 0, "now": 0}

    def launch() -> None:
        device["done_at"] = device["now"] + 5_000_000_000

    def synchronize(_device: object) -> None:
        device["now"] = max(device["now"], device["done_at"])

    monkeypatch.setattr(torch.accelerator, "synchronize", synchronize)
    monkeypatch.setattr(time, "perf_counter_ns", lambda: device["now"])
    timing = time_units(launch, count=3, clock=Clock("cuda:0"), warm_up=WarmUp(at_least=0, at_most=0))
    assert timing.seconds == (5.0, 5.0, 5.0)


@pytest.mark.parametrize(
    ("share", "arms", "verdict"),
    [
        (0.4, "both", "confirmed"),
        (1.04, "both", "confirmed"),
        (1.06, "lion", "invalid"),
        (40.0, "adam", "invalid"),
    ],
)
def test_a_launch_that_was_timed_for_its_kernel(
    tmp_path: Path, share: float, arms: str, verdict: str
) -> None:
    """One trial of an arm, unsynchronised: the work that it counts is more than the machine could have done
    by then.
    """
    loaded = training_study(
        primary="update_seconds", design={"rounds": 8}, claims={"it": {**CLAIM, "metric": "update_seconds"}}
    )
    settled = claim(judged(tmp_path, loaded, _timed(loaded, share, arms)), "it")
    assert settled.verdict == verdict
    reason = "exceeds the machine's peak matmul speed"
    assert (reason in settled.sentence) == (verdict == "invalid")


def test_a_busy_cpu_is_no_reason_to_doubt_a_clock(tmp_path: Path) -> None:
    """The peak of the odd trial was measured beside other programs. On a CPU, no work can be left out."""
    loaded = training_study(
        primary="update_seconds", design={"rounds": 8}, claims={"it": {**CLAIM, "metric": "update_seconds"}}
    )
    frames = _timed(loaded, 1.11, "lion")
    for folder, device, verdict in (("cpu", "cpu", "confirmed"), ("gpu", "cuda:0", "invalid")):
        (tmp_path / folder).mkdir()
        trials = tuple(replace(t, notes={**t.notes, "device": device}) for t in frames.trials)
        analysis = judged(tmp_path / folder, loaded, replace(frames, trials=trials))
        assert claim(analysis, "it").verdict == verdict
        warned = any("the peak was measured too low" in warning for warning in analysis.warnings)
        assert warned == (device == "cpu")


@pytest.mark.parametrize(("fastest", "verdict"), [(1.0, "invalid"), (1.2, "confirmed")])
def test_the_ceiling_is_the_fastest_product_of_the_run_and_the_calibration(
    fastest: float, verdict: str
) -> None:
    """One trial seemed to reach 1.11 of the peak that it measured itself; another trial measured more."""
    loaded = training_study(
        primary="update_seconds", design={"rounds": 8}, claims={"it": {**CLAIM, "metric": "update_seconds"}}
    )
    frames = _timed(loaded, 1.11, "lion")
    first, *others = (replace(t, notes={**t.notes, "peak_flops": {"fp32": 1e9}}) for t in frames.trials)
    faster = replace(first, notes={**first.notes, "peak_flops": {"fp32": fastest * 1e9}})
    by_trial = replace(frames, trials=(faster, *others))
    assert claim(analyse(loaded, by_trial), "it").verdict == verdict
    calibrated = replace(frames, trials=(first, *others), calibrated_flops={"fp32": fastest * 1e9})
    assert claim(analyse(loaded, calibrated), "it").verdict == verdict


def _timed(loaded: LoadedStudy, share: float, arms: str) -> MemoryFrames:
    """Lion's updates take a third less time; in round 3 of `arms`, the median unit reaches a `share` of the
    peak.
    """
    random = np.random.default_rng(2)
    rows: list[TrialRow] = []
    samples: list[tuple[int, str, int, float]] = []
    [like, *_] = Learned().frames().trials
    for round_ in range(1, 9):
        order = loaded.arms if round_ % 2 else loaded.arms[::-1]
        for arm in order:
            number = len(rows) + 1
            rows.append(
                replace(like, id=number, spec_id=f"s{number}", arm=arm.name, round=round_, position=number)
            )
            seconds = (0.2 if arm.names["optimizer"] == "lion" else 0.3) * math.exp(random.normal(0, 0.01))
            odd = round_ == 3 and arms in ("both", arm.names["optimizer"])
            for unit, value in enumerate((0.1, share if odd else 0.4, 99.0)):
                samples += [(number, "update_seconds", unit, seconds), (number, "mfu", unit, value)]
    return MemoryFrames(samples=sample_frame(rows, samples), trials=tuple(rows), checks=())
