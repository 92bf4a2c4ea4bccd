"""What the harness itself costs. Run with `--benchmark-enable`; without it, only that it works.

Targets: 100,000 samples a second from a worker, flushed line by line; at most 0.2 s a trial outside the
trial's work; at most 0.2 s for `harness --help`. Asserted are ceilings of five times that, for a machine that
is busy with something else.
"""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.config import digest
from harness.run.backends.local import LocalBackend
from harness.run.job import Job
from harness.study.planning.plan import plan
from harness.tasks.generate import Generate
from harness.telemetry.nvml import NvmlReader
from harness.trial.outcome import EventWriter
from tests.end_to_end.workplace import COMMAND, Workplace

SAMPLES = 100_000


def test_a_worker_emits_100_000_samples_a_second(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    def emit() -> None:
        with path.open("w", encoding="utf-8") as stream:
            writer = EventWriter(stream)
            for step in range(SAMPLES):
                writer.sample("loss", step / 7, step)

    benchmark.pedantic(emit, rounds=5)  # type: ignore[no-untyped-call]
    assert path.read_text().count("\n") == SAMPLES
    if benchmark.stats:
        benchmark.extra_info["samples_per_second"] = SAMPLES / benchmark.stats.stats.median
        assert benchmark.stats.stats.median <= 5.0


@pytest.fixture
def trial(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], float]]:
    """Runs the tiny study's measurement in a process of its own; seconds of it that were not the trial's
    work.
    """
    from harness.models.init import build_model
    from harness.training.checkpoint import save_checkpoint

    for name, value in workplace.environment().items():
        monkeypatch.setenv(name, value)
    spec = plan(workplace.loaded()).rounds[0][0]
    task = Generate.read(spec.config)
    folder = workplace.folder / "model"
    save_checkpoint(folder, build_model(task.model.train.model, 0), {})
    checkpoints = {digest(task.model.train.plain()): str(folder)}
    job = Job(spec=spec, events="", checkpoints=checkpoints, threads=1)
    with NvmlReader() as nvml, LocalBackend(nvml=nvml) as backend:

        def run() -> float:
            done = backend.submit(job).future.result()
            assert done.outcome.status == "finished"
            overhead: float = done.seconds - done.outcome.notes["work_seconds"]
            return overhead

        run()  # starts the fork server, once a round
        yield run


def test_a_trial_costs_a_fifth_of_a_second_at_most(
    benchmark: BenchmarkFixture, trial: Callable[[], float]
) -> None:
    overheads: list[float] = []
    benchmark.pedantic(lambda: overheads.append(trial()), rounds=10)  # type: ignore[no-untyped-call]
    assert min(overheads) > 0
    if benchmark.stats:
        benchmark.extra_info["overhead_seconds"] = statistics.median(overheads)
        assert statistics.median(overheads) <= 1.0


def test_help_takes_a_fifth_of_a_second_at_most(benchmark: BenchmarkFixture) -> None:
    command = [str(COMMAND), "--help"]
    benchmark.pedantic(
        subprocess.run, args=(command,), kwargs={"check": True, "capture_output": True}, rounds=10
    )  # type: ignore[no-untyped-call]
    if benchmark.stats:
        benchmark.extra_info["seconds"] = benchmark.stats.stats.min
        assert benchmark.stats.stats.min <= 1.0
