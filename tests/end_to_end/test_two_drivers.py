"""Two real drivers on one PostgreSQL store, each with a lock of the machine of its own, as if they ran on two
machines. One of them is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from harness.store.rows import TrialRow
from harness.store.store import open_store
from tests.end_to_end.workplace import COMMAND, DEADLINE_S, Workplace, descendants, still_there, until
from tests.support.tiny_study import TUNED, patched, put

STUDY = patched(
    TUNED,
    ("  tune:\n    grid:\n      optimizer.lr: [1e-4, 1e-3, 1e-2]\n", "  exploratory: true\n"),
    ("clip: [1.0, 0.5, 0.25, 2.0]", "clip: [1.0, 0.5]"),
    ("seeds: 7", "seeds: 3"),
)
HANG: dict[str, Any] = {
    "name": "hang",
    "task": "train",
    "metric": "loss",
    "step": 2,
    "act": "hang",
}
"""Stops the first trial of a driver."""


@contextmanager
def driver(
    workplace: Workplace, number: int, url: str, fault: dict[str, Any] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A driver whose messages go to the file `driver-NUMBER`."""
    variables = workplace.environment(fault)
    variables["TEST_LEASE"] += f"-{number}"
    with (workplace.folder / f"driver-{number}").open("w") as said:
        process = subprocess.Popen(
            [str(COMMAND), "run", "tiny", "--store", url, "--no-report"],
            cwd=workplace.folder,
            env=variables,
            text=True,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def said_by(workplace: Workplace, number: int) -> str:
    return (workplace.folder / f"driver-{number}").read_text()


def rows_in(url: str) -> list[TrialRow]:
    with open_store(url) as store:
        [run] = store.runs("tiny")
        assert store.chain(run).problems == ()
        return store.trials(run, include_superseded=True)


@pytest.mark.slow
def test_a_driver_that_is_killed_leaves_its_trials_to_the_other_one(
    new_workplace: Callable[[], Workplace], postgres_url: str
) -> None:
    workplace = new_workplace()
    put(workplace.folder, STUDY)
    with driver(workplace, 1, postgres_url, HANG) as first:
        until(lambda: workplace.met("hang") > 0, first)
        workers = descendants(first)
        with driver(workplace, 2, postgres_url) as second:
            until(lambda: "which has not finished its trials" in said_by(workplace, 2), second)
            assert f"process {first.pid} on {os.uname().nodename} works on this run as well" in said_by(
                workplace, 2
            )
            first.send_signal(signal.SIGKILL)
            first.wait(DEADLINE_S)
            assert second.wait(DEADLINE_S) == 0, said_by(workplace, 2)
    assert still_there(workers) == []
    rows = rows_in(postgres_url)
    finished = Counter(row.spec_id for row in rows if row.state == "finished")
    assert (len(finished), set(finished.values())) == (6, {1})
    others = [row for row in rows if row.state != "finished"]
    assert 1 <= len(others) <= (psutil.cpu_count() or 1)
    assert {(row.superseded_state or row.state, row.error) for row in others} == {
        ("interrupted", "interrupted: the driver ended first")
    }
    assert len({row.session_id for row in rows}) == 2
