"""The progress of a run: one percentage over all parts, how far the trial is, and the time that is left."""

from __future__ import annotations

import pytest

from harness.cli.console import CommandOutput
from harness.cli.progress import Progress
from harness.cli.progress_listener import ProgressListener
from harness.run.backends.base import Finished
from harness.run.programme import WorkLeft
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec
from tests.support.made_up_run import made_up_run
from tests.tasks.tiny_recipes import RECIPE


class Shown(Progress):
    """Remembers what is shown."""

    shows = True

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.lines: list[tuple[float, str | None, str, str]] = []

    def begin(self, what: str, total: float) -> None:
        self.begun.append(what)
        self.total = total

    def advance(self, done: float, what: str | None = None, *, detail: str = "", left: str = "") -> None:
        self.lines.append((done, what, detail, left))

    @property
    def percentages(self) -> list[int]:
        return [round(100 * done / self.total) for done, *_ in self.lines]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """A listener that shows trials of one second."""

    def __init__(self) -> None:
        self.shown, self.clock = Shown(), Clock()
        self.listener = ProgressListener(CommandOutput(), self.shown, seconds=self.clock)

    def part(self, number: int, todo: int, done: int, ends: list[str]) -> None:
        """A part with so many trials left and done, and how its next trials end."""
        specs = tuple(spec(seed) for seed in range(todo))
        self.listener.begin(made_up_run(f"r{number}"), WorkLeft(todo, done, specs), ())
        self.trials(ends)

    def trials(self, ends: list[str]) -> None:
        for index, status in enumerate(ends):
            self.listener.trial(spec(index))
            self.clock.now += 1.0
            outcome = Outcome(status=status, error="it broke")  # type: ignore[arg-type]
            self.listener.finished(
                spec(index), Finished(outcome=outcome, seconds=1.0, telemetry=(), nvml_reason=None)
            )


def spec(number: int) -> TrialSpec:
    return TrialSpec(
        purpose="measure", task="train", arm="a", condition={}, seed=number, round=1, config=RECIPE
    )


def test_parts_are_counted_together() -> None:
    scene = Scene()
    scene.listener.parts((2, 8))
    scene.part(0, 2, 0, ["finished"] * 2)
    scene.part(1, 8, 0, ["finished"] * 8)
    ends = [
        percent for percent, (_, what, *_) in zip(scene.shown.percentages, scene.shown.lines, strict=True)
    ]
    assert ends[1::2] == [10 * tenth for tenth in range(1, 11)]
    assert [what for _, what, *_ in scene.shown.lines[:3]] == [
        "trial 1 of 10",
        "1 of 10 trials",
        "trial 2 of 10",
    ]


def test_trials_of_earlier_runs_count_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    scene.listener.parts((5, 5))
    scene.part(0, 0, 5, [])
    scene.part(1, 1, 4, ["finished"])
    assert scene.shown.percentages == [90, 100]
    assert capsys.readouterr().err == "run r0: all 5 trials are done\n"


def test_repeated_rounds_and_early_ends_keep_the_percentage_within_the_part() -> None:
    scene = Scene()
    scene.listener.parts((4, 4))
    scene.part(0, 2, 0, ["finished"] * 6)
    scene.part(1, 2, 2, ["failed", "finished", "finished"])
    assert scene.shown.percentages == sorted(scene.shown.percentages)
    assert scene.shown.percentages[-1] == 100


def test_a_running_trial_says_how_far_it_is_and_how_long_the_others_take() -> None:
    scene = Scene()
    scene.listener.parts((20,))
    scene.part(0, 20, 0, ["finished"] * 10)
    scene.listener.trial(spec(10))
    scene.clock.now += 0.5
    scene.listener.running(spec(10), lambda: [Sample("loss", 1, 2.3456), Sample("learning_rate", 1, 0.001)])
    done, what, detail, left = scene.shown.lines[-1]
    updates = RECIPE["updates"]
    assert (done, what) == (10, "trial 11 of 20")
    assert detail == f"train a seed 10 round 1: update 2 of {updates}, loss 2.35"
    assert left == "9 to 10 s left"


def test_the_events_are_not_read_if_nobody_looks() -> None:
    def never() -> list[Sample]:
        raise AssertionError("the events were read")

    ProgressListener(CommandOutput(), Progress()).running(spec(0), never)


def test_what_the_driver_waits_for_is_shown_and_its_time_says_nothing_about_trials(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = Scene()
    scene.listener.parts((9,))
    scene.part(0, 9, 0, ["finished"] * 2)
    scene.listener.waiting("waiting for process 7")
    assert scene.shown.lines[-1] == (2, None, "waiting for process 7", "")
    scene.clock.now += 1000.0
    scene.trials(["finished"])
    assert scene.shown.lines[-1][-1] == "about 6 s left"
    assert capsys.readouterr().err == "waiting for process 7\n"
