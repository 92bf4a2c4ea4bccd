"""What very many trials cost: `python -m tests.benchmarks.many_trials [--trials N] [--store LOCATION]`.

One driver runs the trials of a study with 1,000 simulated workers, each of which takes a second and computes
nothing. Then the commands that people type most are timed on the store that this makes.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.experiment import Workspace, load
from harness.experiment.declaring import declare_claims
from harness.run.backends.base import Finished
from harness.run.driver import Driver
from harness.run.job import Job
from harness.run.listener import Listener
from harness.run.programme import StudyProgramme
from harness.store.store import open_store
from harness.telemetry.process_sampler import TelemetrySample
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec
from tests.support.tiny_study import TUNED, patched, put

ARMS, WORKERS, SAMPLES = 100, 1000, 20
SECONDS = 1.0
"""How long a simulated trial takes."""

_WITHOUT_TUNING = ("  tune:\n    grid:\n      optimizer.lr: [1e-4, 1e-3, 1e-2]\n", "")
_CLIPS = ", ".join(f"{0.5 + arm / 100:.2f}" for arm in range(ARMS))
_LOOK = TelemetrySample(
    t_seconds=0.5,
    rss_bytes=250_000_000,
    cpu_percent=100.0,
    threads=1,
    load=1.0,
    swap_in_bytes=0,
    swap_out_bytes=0,
    cpu_mhz=2600.0,
    other_cpu_percent=0.0,
)


class SimulatedHandle:
    """A trial that somebody else seems to run."""

    def __init__(self) -> None:
        self.future: Future[Finished] = Future()

    def new_samples(self) -> list[Sample]:
        return []

    def last_samples(self) -> list[Sample]:
        return []

    def cancel(self, grace_s: float) -> None:
        self.future.cancel()


class SimulatedWorkers:
    """A backend with 1,000 workers. A thread ends each trial when its time has come."""

    slots = WORKERS

    def __init__(self) -> None:
        self._due: list[tuple[float, int, SimulatedHandle, Finished]] = []
        self._changed = threading.Condition()
        self._submitted, self._closed = 0, False
        self._thread = threading.Thread(target=self._end_trials, daemon=True)
        self._thread.start()

    def begin_part(self) -> None:
        """There is nothing to prepare."""

    def begin_round(self) -> None:
        """There is nothing to prepare."""

    def submit(self, job: Job) -> SimulatedHandle:
        handle, finished = SimulatedHandle(), _finished(job.spec)
        with self._changed:
            self._submitted += 1
            heapq.heappush(self._due, (time.monotonic() + SECONDS, self._submitted, handle, finished))
            self._changed.notify()
        return handle

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _end_trials(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._due or self._due[0][0] > time.monotonic()):
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._closed:
                    return
                _, _, handle, finished = heapq.heappop(self._due)
            handle.future.set_result(finished)


def _finished(spec: TrialSpec) -> Finished:
    loss = 3.0 - 0.01 * float(spec.config["clip"]) + 0.001 * (hash(spec.id) % 1000) / 1000
    samples = tuple(Sample("validation_loss", step, loss + 1 / (1 + step)) for step in range(SAMPLES))
    outcome = Outcome(
        status="finished",
        samples=samples,
        outputs={"weights": spec.id},
        notes={"device": "cpu", "threads": 1, "work_seconds": SECONDS},
    )
    return Finished(outcome=outcome, seconds=SECONDS, telemetry=(_LOOK, _LOOK), nvml_reason="not watched")


@dataclass
class Watch(Listener):
    """Notes the memory of this process, and the time, after each tenth of the trials."""

    trials: int
    begun: float = field(default_factory=time.perf_counter)
    ended: int = 0

    def finished(self, spec: TrialSpec, finished: Finished) -> None:
        self.ended += 1
        if self.ended % max(1, self.trials // 10) == 0:
            seconds = time.perf_counter() - self.begun
            events = self.ended * (SAMPLES + 2)
            memory = psutil.Process().memory_info().rss / 2**20
            speed = f"{seconds:7.1f} s  {events / seconds:9,.0f} events/s"
            print(f"{self.ended:>8,} trials  {speed}  {memory:6.0f} MiB", flush=True)  # noqa: T201


def drive(folder: Path, trials: int, store: str) -> Path:
    """Run the study. Returns its file."""
    seeds = trials // ARMS
    text = patched(TUNED, _WITHOUT_TUNING, ("clip: [1.0, 0.5, 0.25, 2.0]", f"clip: [{_CLIPS}]"))
    study = put(folder, patched(text, ("seeds: 7", f"seeds: {seeds}")))
    workspace = Workspace(results=folder / "results", reports=folder / "reports", store=store)
    experiment = load(study, workspace=workspace, device="cpu")
    (loaded,) = experiment.parts
    backend = SimulatedWorkers()
    with open_store(workspace.location) as opened:
        declare_claims(opened, (loaded, *experiment.declared))
        driver = Driver(
            StudyProgramme(loaded),
            experiment.setting(),
            store=opened,
            backend=backend,
            listener=Watch(trials=seeds * ARMS),
        )
        driver.run()
    backend.close()
    return study


def time_command(folder: Path, *words: str) -> None:
    """Print the time and the largest memory of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    begun = time.perf_counter()
    command = [sys.executable, "-m", "harness", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    memory = f"{most / 1024:6.0f} MiB" if most > before else f"at most {most / 1024:.0f} MiB"
    print(f"harness {' '.join(words):60} exit {done.returncode}  {seconds:6.1f} s  {memory}", flush=True)  # noqa: T201
    if done.returncode not in (0, 4):
        print(done.stderr[-2000:])  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--store", default="", help="a URL of PostgreSQL; by default a SQLite file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        os.chdir(folder)
        store = arguments.store or str(folder / "results" / "harness.db")
        study = drive(folder, arguments.trials, store)
        if not arguments.store:
            print(json.dumps({"bytes": Path(store).stat().st_size}))  # noqa: T201
        options = ("--store", store)
        file = str(study.relative_to(folder))
        for words in (
            ("list",),
            ("show", file),
            ("plan", file),
            ("run", file, "--device", "cpu"),
            ("report", file),
        ):
            time_command(folder, *words, *options)


if __name__ == "__main__":
    main()
