"""One study through the real command: run, run again, run afresh with trouble, report."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import Result

from harness.study.planning.plan import plan
from harness.tasks.generate import Generate
from tests.end_to_end.conftest import BaseRun
from tests.end_to_end.in_process import InProcess
from tests.end_to_end.workplace import RUN, Exact, Workplace


@dataclass(frozen=True)
class Story:
    workplace: Workplace
    first: subprocess.CompletedProcess[str]
    exact: Exact
    again: Result
    fresh: Result


@pytest.fixture(scope="module")
def story(base_run: BaseRun, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A run; the same again; a fresh one in which one arm's measurement fails whenever it is tried. In a copy
    of the workplace, so that other tests of the base run see nothing of it in whatever order they run.
    """
    workplace = base_run.workplace.copied(tmp_path_factory.mktemp("story") / "place")
    again = workplace.asked(*RUN, "--no-report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.run.backends.local.LocalBackend", InProcess)
        patch.setattr(Generate, "run", _failing(Generate.run))
        fresh = workplace.asked(*RUN, "--fresh", "--json")
    return Story(workplace, base_run.done, base_run.exact, again, fresh)


def _failing(run: Callable[..., Any]) -> Callable[..., Any]:
    """Measures nothing of one arm at one condition, except in the lead-in."""
    met = 0

    def instead(task: Generate, *arguments: Any) -> Any:
        nonlocal met
        if (task.cache, task.new_tokens) == ("dynamic", 32):
            met += 1
            if met > 1:
                raise RuntimeError("planted trouble")
        return run(task, *arguments)

    return instead


def test_every_planned_trial_finishes_once(story: Story) -> None:
    run = story.workplace.runs()[0]
    assert story.first.returncode == 0, story.first.stderr
    assert story.workplace.finished(run) == sorted(spec.id for spec in plan(story.workplace.loaded()).trials)
    assert run.expected_trials == 15


def test_order_of_execution_is_that_of_the_plan(story: Story) -> None:
    rows = story.workplace.trials(story.workplace.runs()[0])
    ran = [row.spec_id for row in sorted(rows, key=lambda row: row.position)]
    assert ran == [spec.id for spec in plan(story.workplace.loaded()).trials]


def test_every_trial_was_watched_from_outside(story: Story) -> None:
    from harness.store.store import open_store

    with open_store(story.workplace.database) as store:
        run = store.runs("tiny")[0]
        seen: dict[int, int] = {}
        trials = store.trials(run)
        for look in store.telemetry(row.id for row in trials):
            # the last one may be of a process that is being torn down
            seen[look.trial_id] = max(look.rss_bytes, seen.get(look.trial_id, 0))
    assert {row.id for row in trials} == set(seen)
    assert min(seen.values()) > 2**20


def test_a_pipe_gets_tab_separated_lines_and_notes_go_to_standard_error(story: Story) -> None:
    out = story.first.stdout.splitlines()
    assert "claim\tverdict\teffect\tinterval\tclaimed\tn" in out
    assert [line.split("\t")[1] for line in out if line.startswith(("same\t", "bytes\t"))] == [
        "confirmed"
    ] * 2
    assert "\x1b" not in story.first.stdout + story.first.stderr
    assert "generate cache=none new_tokens=32 seed 0 round 2: " in story.first.stderr  # -v


def test_the_report_is_whole_and_nothing_else_is_left(story: Story) -> None:
    folder = story.workplace.folder
    page = (folder / "reports" / "tiny.smoke.html").read_text()
    assert "Does a cache make generation faster?" in page
    assert page.rstrip().endswith("</html>")
    assert {path.name for path in (folder / "results").iterdir()} == {"checkpoints", "harness.db"}
    assert not [path for path in (folder / "results" / "checkpoints").iterdir() if path.name.startswith(".")]
    assert not list((folder / "tmp").glob("harness-*"))


def test_a_second_run_runs_no_trial(story: Story) -> None:
    assert story.again.exit_code == 0
    assert "all 15 trials are done" in story.again.stderr
    assert story.workplace.exact(story.workplace.runs()[0]) == story.exact


def test_fresh_makes_another_run_of_the_same_identity_with_the_same_model(story: Story) -> None:
    first, second = story.workplace.runs()
    assert (first.identity, first.ordinal, second.ordinal) == (second.identity, 1, 2)
    assert not [row for row in story.workplace.trials(second) if row.purpose == "train"]


def test_a_trial_that_fails_costs_its_arm_the_verdict_and_nothing_else(story: Story) -> None:
    """Exit code 3, a report, one attempt per round with the reason, and all trials of the other arm."""
    answer: dict[str, Any] = json.loads(story.fresh.stdout)
    claims = {claim["id"]: claim for claim in answer["claims"]}
    assert story.fresh.exit_code == 3
    assert (
        "first: generate cache=dynamic at new tokens 32, seed 0 round 1: RuntimeError: planted"
        in story.fresh.stderr
    )
    assert story.fresh.stderr.count("\n") == 1
    assert claims["fast"]["verdict"] == "invalid"
    assert len(answer["failed"]) == 2
    assert (answer["finished"], answer["expected"]) == (13, 15)
    failed = [row for row in story.workplace.trials() if row.status == "failed"]
    assert [(row.arm, row.condition["new_tokens"]) for row in failed] == [("cache=dynamic", "32")] * 2
    assert [(row.attempt, row.cause) for row in failed] == [(1, "error")] * 2
    assert all(row.error == "RuntimeError: planted trouble" for row in failed)
    assert all("test_run_to_the_end.py" in str(row.traceback) for row in failed)
    assert "planted trouble" in (story.workplace.folder / answer["report"]).read_text()
