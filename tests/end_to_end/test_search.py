"""One search with real trainings, whose driver is killed again and again, and Optuna's dashboard on it."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.search.storage import opened_storage
from harness.store.rows import Run, TrialRow
from harness.store.store import open_store
from tests.end_to_end.workplace import DEADLINE_S, Workplace, until
from tests.support.searched_study import POINTS, SEARCHED
from tests.support.tiny_study import patched

ROOT = Path(__file__).parents[2]
TRIALS = 7
KILLED_AFTER = (1, 2, 3, 4, 5)
"""A driver is killed a moment after so many trials of the search have begun."""

COMMAND = ("search", "tiny", "--trials", str(TRIALS))
STUDY = patched(
    SEARCHED,
    ("seeds: 7", "seeds: 6"),
    ("evaluation_tokens: 256", "evaluation_tokens: 32"),
    (POINTS, "  points: 40\n  enqueue: [{optimizer.lr: 1e-2, schedule.warmup: 2}]\n"),
)


class Commands:
    """Commands in forks of a process, in the folder of a workplace."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, *arguments: str) -> int:
        """The id of the process of the command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        return int(self._answer())

    def has_ended(self, within: float) -> bool:
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], within)[0])

    def status(self) -> int:
        """The exit status of the command that was started last."""
        return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def commands(workplace: Workplace) -> Iterator[Commands]:
    environment = workplace.environment()
    environment["PYTHONPATH"] = os.pathsep.join([environment["PYTHONPATH"], str(ROOT)])
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.end_to_end.forked_commands"],
        cwd=workplace.folder,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        yield Commands(process)
        assert process.stdin is not None
        process.stdin.close()


def begun(database: Path) -> int:
    """How many attempts at trials have begun."""
    if not database.exists():
        return 0
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=DEADLINE_S)
    try:
        [[count]] = connection.execute("SELECT count(*) FROM attempts").fetchall()
    except sqlite3.OperationalError:  # its tables are being made
        return 0
    finally:
        connection.close()
    return int(count)


@dataclass
class Killed:
    """A search that was killed several times and came to its end."""

    workplace: Workplace
    kills: list[int] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        with open_store(self.workplace.database) as store:
            [run] = store.runs("tiny/search")
            return run

    @property
    def rows(self) -> list[TrialRow]:
        return self.workplace.trials(self.run, superseded=True)


@pytest.fixture(scope="module")
def killed(new_workplace: Callable[[], Workplace]) -> Killed:
    workplace, chance = new_workplace(), random.Random(0)
    workplace.study.write_text(STUDY)
    search = Killed(workplace)
    with commands(workplace) as forked:
        for number in KILLED_AFTER:
            pid = forked.start(*COMMAND)
            while begun(workplace.database) < number + len(search.kills):
                assert not forked.has_ended(within=0.01), (workplace.folder / "errors").read_text()
            forked.has_ended(within=chance.uniform(0.0, 0.2))
            os.kill(pid, signal.SIGKILL)
            search.kills.append(forked.status())
        forked.start(*COMMAND, "--json")
        assert forked.status() == 0, (workplace.folder / "errors").read_text()
    search.answer = json.loads((workplace.folder / "output").read_text())
    return search


def test_a_search_that_was_killed_five_times_has_all_points_and_none_twice(killed: Killed) -> None:
    assert killed.kills == [-signal.SIGKILL] * 5
    counted = Counter(row.spec_id for row in killed.rows if row.status == "finished")
    assert (len(counted), set(counted.values())) == (TRIALS, {1})
    assert {row.state for row in killed.rows} <= {"finished", "diverged", "interrupted"}
    with open_store(killed.workplace.database) as store:
        assert len(store.sessions(killed.run)) == 6
    assert killed.answer["search"]["points"] == TRIALS
    assert killed.answer["search"]["begin"]["settings"] == {"optimizer.lr": 1e-3, "schedule.warmup": 1}
    configs = [json.loads(row.spec_json)["config"] for row in killed.rows if row.attempt == 1]
    assert [config["optimizer"]["lr"] for config in configs[:2]] == [1e-3, 1e-2]


def test_the_proof_of_a_search_has_a_verdict_and_a_report(killed: Killed) -> None:
    [claim] = killed.answer["claims"]
    assert (claim["id"], claim["n"]) == ("proof", 6)
    assert claim["verdict"] in ("confirmed", "refuted", "undecided")
    assert (killed.answer["finished"], killed.answer["invalid"]) == (12, {})
    page = (killed.workplace.folder / killed.answer["report"]).read_text(encoding="utf-8")
    assert page.count("<h1") == 1


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def test_the_dashboard_of_optuna_shows_the_search_while_the_store_is_open(killed: Killed) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    location, port = str(killed.workplace.database), free_port()
    program = Path(sys.executable).with_name("optuna-dashboard")
    url = f"http://127.0.0.1:{port}/api/studies"
    with (
        open_store(location),
        opened_storage(location),
        subprocess.Popen(
            [str(program), f"sqlite:///{killed.workplace.folder}/results/optuna.db", "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as dashboard,
    ):
        try:
            until(lambda: answer(url) is not None, dashboard)
            [study] = answer(url)["study_summaries"]
            assert study["study_name"] == f"tiny/search {killed.run.id}"
            trials = answer(f"{url}/{study['study_id']}?after=0")["trials"]
        finally:
            dashboard.terminate()
    complete = [trial for trial in trials if trial["state"] == "Complete"]
    assert len(complete) == TRIALS
    assert {param["name"] for trial in complete for param in trial["params"]} == {
        "optimizer.lr",
        "schedule.warmup",
    }


def answer(url: str) -> Any:
    """What the server says as JSON, or None if it does not listen yet."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.load(response)
    except OSError:
        return None
