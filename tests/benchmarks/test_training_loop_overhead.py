"""What the training loop, its recording and its data path cost around the bare update. Run with
`--benchmark-enable`; without it, only that it works.

Target: 3 % of an update at the smallest that the studies' `cpu` scales train (nano, 8 × 64 tokens), with
float32 products as workers compute them. Loop and bare updates take turns.
"""

from __future__ import annotations

import math
import statistics
import time
from pathlib import Path

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from harness.data.batches import PackedBatches
from harness.machine.matmul import choose_matmul_route
from harness.models.init import build_model
from harness.tasks.train import Train
from harness.training.loop import Costs, LoopSettings, Training
from harness.training.schedule import CosineSchedule
from harness.trial.outcome import EventWriter

LM_NANO = Train.read(
    {
        "corpus": "python-docs",
        "tokenizer": {"kind": "bpe", "vocab_size": 2048},
        "model": {"preset": "nano"},
        "batch": 8,
        "length": 64,
        "updates": 250,
        "optimizer": {"kind": "adamw", "lr": 1e-4},
    }
)
UPDATES, TURNS = 10, 15


def test_the_loop_costs_little_beside_its_updates(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    choose_matmul_route()
    updater = LM_NANO.updater(build_model(LM_NANO.model, 0).train())
    tokens = np.random.default_rng(0).integers(0, 2048, 100_000).astype(np.uint16)
    data = PackedBatches(tokens, length=LM_NANO.length, batch=LM_NANO.rows, seed=0)
    updates = UPDATES if benchmark.enabled else 1
    recipe = LoopSettings(updates=updates, schedule=CosineSchedule(), evaluate_every=10**6)
    costs = Costs(chance=math.log(2048), flops_of=LM_NANO.training_flops, peak_flops=1e11)
    ratios: list[float] = []

    def turn() -> None:
        with (tmp_path / "events.jsonl").open("w", encoding="utf-8") as stream:
            report = EventWriter(stream).sample
            updater.attempted = updater.applied = 0
            training = Training(
                updater, data, recipe, evaluation=lambda: [data.first()], report=report, costs=costs
            )
            looped = training.run().seconds  # from update to update, recording included, evaluation not
        batch = data.first()
        started = time.perf_counter()
        for _ in range(updates):
            updater([batch]).loss.item()
        ratios.append(looped / (time.perf_counter() - started))

    if benchmark.enabled:
        turn()
        ratios.clear()
    benchmark.pedantic(turn, rounds=TURNS)  # type: ignore[no-untyped-call]
    assert len(ratios) >= 1
    if benchmark.stats:
        benchmark.extra_info["overhead"] = statistics.median(ratios) - 1
        assert statistics.median(ratios) <= 1.03
