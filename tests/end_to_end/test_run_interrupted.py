"""One run, broken off in every way in turn: at its end it must be the run that nothing disturbed."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
from typer.testing import Result

from harness.run.processes import has_ended
from harness.run.scratch import Scratch
from harness.store.rows import TrialRow
from tests.end_to_end.conftest import BaseRun
from tests.end_to_end.workplace import LEAST, RUN, Workplace, descendants, still_there, until

TRAINING: dict[str, Any] = {"name": "training", "task": "train", "metric": "loss", "step": 2, "act": "hang"}
LONG: dict[str, Any] = {
    "task": "generate",
    "config": {"new_tokens": 32, "cache": "none"},
    "metric": "cache_bytes",
}
COMMAND = (*RUN, "--no-report")
ROUND_1 = {"name": "round 1", **LONG, "act": "hang"}
ROUND_2 = {"name": "round 2", **LONG, "act": "hang", "skip": 1}
KILLED = {"name": "killed", **LONG, "act": "kill"}


@dataclass(frozen=True)
class Break:
    """How a driver ended, what of it was still there, and the rows it left."""

    code: int
    said: str
    left: list[psutil.Process]
    rows: list[TrialRow]


@dataclass(frozen=True)
class Chain:
    workplace: Workplace
    in_training: Break
    second_driver: Result
    in_round_1: Break
    in_round_2: Break
    last: subprocess.CompletedProcess[str]


def broken_off(
    workplace: Workplace,
    fault: dict[str, Any],
    *,
    by: signal.Signals,
    meanwhile: Callable[[], None] = lambda: None,
) -> Break:
    """Run until the fault's worker hangs, and send the driver alone a signal."""
    with workplace.start(*COMMAND, fault=fault) as driver:
        until(lambda: workplace.met(fault["name"]) > fault.get("skip", 0), driver)
        meanwhile()
        workers = descendants(driver)
        assert len(workers) == 2  # a fork server and its trial
        driver.send_signal(by)
        try:
            said = driver.communicate(timeout=60)[1]
        except subprocess.TimeoutExpired:
            driver.kill()  # leaving the `with` would wait for it for ever
            raise
    return Break(driver.returncode, said, still_there(workers), workplace.trials(superseded=True))


@pytest.fixture(scope="module")
def chain(new_workplace: Callable[[], Workplace]) -> Chain:
    workplace = new_workplace()
    in_training = broken_off(workplace, TRAINING, by=signal.SIGKILL)
    second: list[Result] = []
    in_round_1 = broken_off(
        workplace, ROUND_1, by=signal.SIGKILL, meanwhile=lambda: second.append(workplace.asked(*RUN))
    )
    in_round_2 = broken_off(workplace, ROUND_2, by=signal.SIGINT)
    [weights] = (workplace.folder / "results" / "checkpoints").glob("*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    last = workplace.harness(*COMMAND, fault=KILLED)
    return Chain(workplace, in_training, second[0], in_round_1, in_round_2, last)


def test_a_killed_driver_takes_its_workers_with_it(chain: Chain) -> None:
    for end in (chain.in_training, chain.in_round_1):
        assert end.code == -signal.SIGKILL
        assert not end.left


def test_a_driver_killed_in_training_leaves_no_model(chain: Chain) -> None:
    [row] = chain.in_training.rows
    assert (row.purpose, row.status) == ("train", "running")
    [said] = [r for r in chain.in_round_1.rows if r.purpose == "train" and r.state == "interrupted"]
    assert said.error == "interrupted: the driver ended first"


def test_one_run_has_one_driver(chain: Chain) -> None:
    assert chain.second_driver.exit_code == 2
    assert "is already working on run" in chain.second_driver.stderr
    assert chain.second_driver.stderr.count("\n") == 1
    assert chain.second_driver.stdout == ""


def test_an_interruption_from_the_keyboard_says_how_to_go_on(chain: Chain) -> None:
    end = chain.in_round_2
    assert end.code == 130
    assert end.said.splitlines()[-1] == "error: interrupted by SIGINT; run the same command again to continue"
    assert not end.left
    assert not [row for row in end.rows if row.status == "running"]


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
        pytest.param(signal.SIGQUIT, marks=pytest.mark.slow),
    ],
)
def test_other_signals_end_a_run_as_the_keyboard_does(workplace: Workplace, number: signal.Signals) -> None:
    end = broken_off(workplace, TRAINING, by=number)
    assert end.code == 128 + number
    assert (
        end.said.splitlines()[-1]
        == f"error: interrupted by {number.name}; run the same command again to continue"
    )
    assert not end.left
    assert [row.state for row in end.rows] == ["interrupted"]
    assert not list((workplace.folder / "tmp").glob("harness-*"))


def test_a_second_signal_leaves_a_trial_no_time(workplace: Workplace) -> None:
    """The trial does not end when it is asked to, and would have an hour for it."""
    with workplace.start(*COMMAND, fault={**TRAINING, "act": "hang on", "grace": 3600}) as driver:
        until(lambda: workplace.met(TRAINING["name"]) > 0, driver)
        workers = descendants(driver)
        driver.send_signal(signal.SIGINT)
        driver.send_signal(signal.SIGTERM)
        try:
            driver.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            driver.kill()
            raise
    assert driver.returncode in (128 + signal.SIGINT, 128 + signal.SIGTERM)  # the kernel chooses the first
    assert not still_there(workers)
    assert [row.state for row in workplace.trials(superseded=True)] == ["interrupted"]
    assert not list((workplace.folder / "tmp").glob("harness-*"))


def test_the_next_driver_removes_what_a_killed_one_has_left(workplace: Workplace) -> None:
    """A folder, and processes if their server could not end them."""
    folder = workplace.folder / "tmp"
    fault = {**TRAINING, "act": "descendants+hang"}
    with workplace.start(*COMMAND, fault=fault) as driver:
        started = workplace.folder / f"met-{TRAINING['name']}.started"
        until(started.exists, driver)
        server = psutil.Process(driver.pid).children()[0]
        driver.kill()
        server.kill()
    [left] = folder.glob("harness-*")
    living = Scratch(folder)
    sleepers = [psutil.Process(int(pid)) for pid in started.read_text().split()]
    assert not any(map(has_ended, sleepers))
    done = workplace.harness(*LEAST)
    assert done.returncode == 0, done.stderr
    assert not left.exists()
    assert all(map(has_ended, sleepers))
    assert living.folder.exists()
    living.remove()
    assert not list(folder.glob("harness-*"))


def test_an_interrupted_round_is_run_again_whole_and_a_finished_one_is_not(chain: Chain) -> None:
    rows = chain.workplace.trials(superseded=True)
    sessions = {number: {row.session_id for row in finished(rows, number)} for number in (1, 2)}
    tried = {number: {row.session_id for row in rows if row.round == number} for number in (1, 2)}
    assert [len(sessions[number]) for number in (1, 2)] == [1, 1]
    assert sessions[1] < tried[1]
    assert sessions[2] < tried[2]
    assert sessions[1] != sessions[2]
    broken = [row for row in rows if row.round and row.session_id not in sessions[1] | sessions[2]]
    assert broken
    assert {row.state for row in broken} == {"superseded"}
    assert {row.superseded_state for row in broken} <= {"finished", "interrupted"}


def test_the_end_is_that_of_an_undisturbed_run(chain: Chain, base_run: BaseRun) -> None:
    """The same trials, none twice, with the same outputs, bytes and weights."""
    assert chain.last.returncode == 0, chain.last.stderr
    assert set(Counter(chain.workplace.finished()).values()) == {1}
    assert chain.workplace.exact() == base_run.exact
    assert len(chain.workplace.runs()) == 1


def test_a_damaged_model_is_trained_again(chain: Chain) -> None:
    assert "is damaged, so the model is trained again" in chain.last.stderr
    trainings = [row for row in chain.workplace.trials(superseded=True) if row.purpose == "train"]
    assert [(row.state, row.superseded_state) for row in trainings] == [
        ("superseded", "interrupted"),
        ("superseded", "finished"),
        ("finished", None),
    ]


def test_a_killed_worker_is_tried_again_and_the_error_names_the_signal(chain: Chain) -> None:
    [killed] = [row for row in chain.workplace.trials() if row.state == "lost" and row.round]
    [again] = [
        row for row in chain.workplace.trials() if row.spec_id == killed.spec_id and row.status == "finished"
    ]
    assert killed.error == "the worker was killed by SIGKILL"
    assert again.attempt == killed.attempt + 1
    assert again.session_id == killed.session_id


def finished(rows: list[TrialRow], number: int) -> list[TrialRow]:
    return [row for row in rows if row.round == number and row.status == "finished"]
