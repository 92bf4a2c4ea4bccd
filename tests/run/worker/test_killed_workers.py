"""Workers that are killed at any point of what they write, under a driver that goes on.

The points are those before a change of files; before, within and after an event line; and within the weights
and the state that a training writes.
"""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from harness.machine.environment import environment
from harness.run.backends.local import LocalBackend
from harness.run.driver import Driver
from harness.run.processes import MARK
from harness.run.programme import StudyProgramme
from harness.store.rows import TrialRow
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.telemetry.nvml import NvmlReader
from harness.trial.causes import Cause
from tests.end_to_end.in_process import Notes
from tests.end_to_end.workplace import Workplace
from tests.run.scene import Scene
from tests.support.tiny_study import RECIPE

KILLS = Path(__file__).with_name("kills")
Exact = dict[str, tuple[dict[str, str], dict[int, float]]]
"""The outputs of each finished trial, and its losses by their steps."""


class Point(NamedTuple):
    """The step of this kind with this number."""

    kind: str
    number: int


class Killing:
    """Drivers of one study, one after the other, whose trials have one fork server."""

    def __init__(self, loaded: LoadedStudy, folder: Path) -> None:
        self._loaded, self._folder, self._here = loaded, folder, environment()
        self._kills, self._drivers = folder / "kills", itertools.count()
        self.backend = LocalBackend(nvml=NvmlReader(), slots=1)

    def drive(self, lines: list[str]) -> tuple[Path, list[TrialRow], Exact]:
        """The folder of a new driver, its attempts, and what they gave. Each process takes one of the lines
        for kills.
        """
        folder = self._folder / f"driver-{next(self._drivers)}"
        folder.mkdir()
        self._kills.write_text("".join(f"{line}\n" for line in lines))
        scene = Scene(folder, self._loaded, self._here)
        with scene.store:
            programme, setting = StudyProgramme(self._loaded), scene.setting()
            run = Driver(programme, setting, store=scene.store, backend=self.backend, listener=Notes()).run()
            rows, samples = scene.rows(superseded=True), scene.store.samples(run)
        losses: dict[int, dict[int, float]] = defaultdict(dict)
        for sample in samples:
            if sample.metric == "validation_loss":
                losses[sample.trial_id][sample.step] = sample.value
        finished = [row for row in rows if row.state == "finished"]
        assert len({row.spec_id for row in finished}) == len(finished)
        return folder, rows, {row.spec_id: (row.outputs, losses[row.id]) for row in finished}

    def noted(self, what: str) -> list[str]:
        """The lines that processes have noted, which are then forgotten."""
        file = Path(f"{self._kills}.{what}")
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def undisturbed(self) -> tuple[Exact, list[list[Point]]]:
        """What the trials give, and all points of each one in the order of the driver. A lead-in has none,
        because it is not tried again.
        """
        _, rows, exact = self.drive(["look"] * 100)
        assert any(losses for _, losses in exact.values())
        points: list[list[Point]] = []
        for _, steps in itertools.groupby(self.noted("steps"), lambda line: line.split()[0]):
            counts: Counter[str] = Counter()
            points.append([])
            for kind in (step.split()[1] for step in steps):
                points[-1].append(Point(kind, counts[kind]))
                counts[kind] += 1
        purposes = [row.purpose for row in rows]
        return exact, [
            [] if purpose == "lead-in" else some for some, purpose in zip(points, purposes, strict=True)
        ]

    def check(self, points: list[Point | None], exact: Exact) -> None:
        """A trial is tried twice in one session, so the process after one that dies lives."""
        lines: list[str] = []
        for point in points:
            lines += [f"{point.kind} {point.number}", "live"] if point else ["live"]
        folder, rows, again = self.drive(lines)
        deaths = self.noted("deaths")
        assert self._kills.read_text() == ""
        assert len(deaths) == sum(point is not None for point in points)
        assert again == exact
        lost = [row for row in rows if row.state == "lost"]
        assert len(lost) == len(rows) - len(exact) == deaths.count("unfinished")
        assert {(row.cause, row.error) for row in lost} <= {
            (Cause.KILLED, "the worker was killed by SIGKILL")
        }
        [model] = (folder / "checkpoints").iterdir()
        assert {path.name for path in model.iterdir()} == {"model.safetensors", "recipe.json"}
        assert {path.name for path in folder.iterdir()} == {"harness.db", "checkpoints"}


@pytest.fixture
def killing(
    new_workplace: Callable[[], Workplace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Killing]:
    """With a training that saves its state, two checks, and one round of two trials after a lead-in."""
    workplace = new_workplace()
    (workplace.study.parent / "recipes" / "small.yaml").write_text(f"{RECIPE}save_every: 1\n")
    settings = ("across.new_tokens=[8]", "claims={}", "invariants=[cache-bytes]", "design.rounds=1")
    for name, value in workplace.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(workplace.code), str(KILLS)]))
    monkeypatch.setenv("KILLS", str(tmp_path / "kills"))
    monkeypatch.setattr("harness.machine.environment.affinity_cores", lambda: 1)  # a thread per trial
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "files"))
    (tmp_path / "files").mkdir()
    made = Killing(load_study(workplace.study, "smoke", settings)[0], tmp_path)
    yield made
    made.backend.close()
    mark = f"{MARK}={made.backend._scratch.folder}"
    assert not [
        process for process in psutil.process_iter(["environ"]) if mark in str(process.info["environ"])
    ]
    assert list((tmp_path / "files").iterdir()) == []


def spread(points: list[Point], number: int, total: int) -> Point | None:
    """The one of `total` points with this number: all kinds in turn, the rarest first, and spread over the
    trial.
    """
    if not points:
        return None
    counts = Counter(point.kind for point in points)
    kinds = sorted(counts, key=lambda kind: counts[kind])
    turn, turns = number // len(kinds), math.ceil(total / len(kinds))
    kind = kinds[number % len(kinds)]
    return Point(kind, (2 * turn + 1) * counts[kind] // (2 * turns))


@pytest.mark.parametrize("drivers", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_wherever_a_worker_is_killed_its_trial_runs_again_and_nothing_is_left(
    killing: Killing, drivers: int
) -> None:
    """Each of five trials is killed once under each driver."""
    exact, trials = killing.undisturbed()
    for number in range(drivers):
        killing.check([spread(points, number, drivers) for points in trials], exact)
