"""The picture of a running study, without a clock: the same state gives the same text."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from harness.cli.watch_frame import MOST_ROUNDS, arm_rows, frame, lines, symbol
from harness.experiment.inside_trial import LastValue
from harness.experiment.time_left import TimeRange
from harness.experiment.watching import MachineLoad, StudyNow, TrialNow
from harness.store.rows import Session
from harness.study.names import Names
from tests.report.synthetic import study
from tests.support.made_up_run import made_up_run
from tests.support.stored_run import trial

RUN = made_up_run(expected_trials=9)
SESSION = Session(
    id=1,
    run_id="ab-1",
    started_at="2026-01-01T12:30:00+00:00",
    ended_at=None,
    host="box",
    pid=42,
    provenance={},
)
NOW = StudyNow(
    run=RUN,
    session=SESSION,
    rows={
        "": (("finished", "finished"), ("running", "finished"), ("planned", "planned")),
        "cache=static": (("finished", "planned"), ("failed", "finished"), ("planned", "planned")),
    },
    before={"train": (1, 1), "check": (2, 3)},
    finished=12,
    failed=1,
    planned=129,
    trial=TrialNow(
        spec=trial(), seconds=12.34, reached=LastValue("loss", 119, 2.3456, 400), curve=(4.0, 3.0, 2.0, 1.0)
    ),
    beside=0,
    left=TimeRange(730.0, 905.0),
    load=MachineLoad(processor=53.2, memory=34.0, load=1.234, cores=2),
)


def text(now: StudyNow, **options: str) -> list[str]:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(frame(now, **options))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_the_picture() -> None:
    assert text(NOW, leave="q leaves") == [
        "kv_cache (cpu), run ab-1: process 42 on box since 2026-01-01 12:30 UTC",
        "arm           rounds  finished",
        "all           ●▶·       3 of 6",
        "cache=static  ◐✗·       2 of 6",
        "● finished  ◐ partly  ▶ running  ✗ failed  · planned",
        "12 of 129 trials finished, 1 failed, 12 to 16 min left",
        "trainings: 1 of 1, checks: 2 of 3",
        "now: generate dynamic new_tokens=16 seed 1 round 1, for 12.3 s",
        "update 120 of 400, loss 2.35",
        "loss █▆▃▁ 4 → 1.000",
        "machine: processors 53 %, load 1.23 on 2 cores, memory 34 %",
        "q leaves",
    ]


def test_labels_of_the_study_name_its_arms_and_conditions() -> None:
    labels = {"cache": {"label": "memory", "levels": {"static": "fixed"}}, "new_tokens": {"label": "length"}}
    now = replace(NOW, names=Names(study(claims={}, labels=labels)))
    assert [arm for arm, *_ in arm_rows(now)] == ["all", "memory fixed"]
    assert "now: generate dynamic at length 16, seed 1 round 1, for 12.3 s" in text(now)


def test_before_the_first_round_there_is_no_table() -> None:
    bare = replace(NOW, rows={}, before={}, trial=None, left=None, failed=0, finished=0, planned=1)
    assert text(bare) == [
        "kv_cache (cpu), run ab-1: process 42 on box since 2026-01-01 12:30 UTC",
        "0 of 1 trial finished",
        "machine: processors 53 %, load 1.23 on 2 cores, memory 34 %",
    ]


def test_of_many_rounds_those_around_the_current_one_are_shown() -> None:
    rounds = tuple(("finished" if number < 95 else "planned",) for number in range(1000))
    now = replace(NOW, rows={"a": rounds})
    [(_, shown, finished)] = arm_rows(now)
    assert (len(shown), finished) == (MOST_ROUNDS, "95 of 1,000")
    assert shown == "●" * 55 + "·" * 5
    assert "rounds 41 to 100" in text(now)[1]


def test_a_symbol_stands_for_all_trials_of_an_arm_in_a_round() -> None:
    states = ("running", "failed", "lost", "finished", "diverged", "planned", "interrupted")
    assert "".join(symbol([state]) for state in states) == "▶✗✗●●··"


def test_texts_of_a_study_cannot_act_on_the_terminal() -> None:
    hostile = replace(NOW, run=replace(RUN, study="a\x1b[2Jb"), rows={"c\x1b[0m": (("planned",),)})
    assert not any("\x1b" in line for line in (*lines(hostile), *(row[0] for row in arm_rows(hostile))))
