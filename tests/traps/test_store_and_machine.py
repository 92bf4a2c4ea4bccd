"""Who was fooled: those who read a database in which somebody had multiplied an arm's samples, swapped two
arms or removed what did not fit; those whose trials ran beside another driver's; and those whose machine was
busy, so that an honest run seemed faster than possible."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.analyse import analyse
from harness.analysis.frames import run_frames
from harness.analysis.results import Analysis
from harness.cli.console import CommandOutput
from harness.cli.showing import show_study
from harness.cli.verify import verify_report
from harness.errors import InvalidError
from harness.models.init import build_model
from harness.run import lease
from harness.store.store import open_store
from harness.tasks.step import Step, record_memory
from harness.verify.verify import verify
from tests.analysis.planted import SPEED, Planted, claim, flat, study
from tests.traps.invented import Invented, invented
from tests.traps.stored import judged, stored

__all__ = ["invented"]

CLAIMS = {
    "faster": {"source": "x", "says": "Faster.", "level": {"cache": "dynamic"}, "direction": "better"},
    "ratio": {"source": "x", "says": "Twice.", "level": {"cache": "dynamic"}, "ratio": 2.0},
}
LOADED = study(
    compare={"cache": ["none", "dynamic"]}, across={"new_tokens": [256]}, invariants=[], claims=CLAIMS
)
SAMPLES_OF = "(SELECT attempts.id FROM attempts JOIN trials ON trials.id = trial_id WHERE {})"
OTHER_ARM = SAMPLES_OF.format("arm = 'cache=dynamic'")
LAST_ROUND = SAMPLES_OF.format("round = 10")


def edited(folder: Path, *statements: str, ratio: float = 2.0) -> Analysis:
    """The analysis of a run whose database was edited by hand afterwards."""
    stored(folder, LOADED, Planted(loaded=LOADED, ratio=flat(ratio)).frames())
    path = folder / "harness.db"
    connection = sqlite3.connect(path)
    for statement in statements:
        assert connection.execute(statement).rowcount >= 1
    connection.commit()
    connection.close()
    with open_store(path) as store:
        return analyse(LOADED, run_frames(store, store.runs()[0]))


def test_an_untouched_store_decides(tmp_path: Path) -> None:
    analysis = judged(tmp_path, LOADED, Planted(loaded=LOADED, ratio=flat(2.0)).frames())
    assert [claim(analysis, name).verdict for name in CLAIMS] == ["confirmed", "confirmed"]


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (
            (f"UPDATE samples SET value = value * 3 WHERE attempt_id IN {OTHER_ARM}",),
            "the samples of attempts changed: ",
        ),
        (
            ("UPDATE trials SET arm = iif(arm = 'cache=none', 'cache=dynamic', 'cache=none')",),
            "trials are not labelled as their specifications say: t2-",
        ),
        (
            ('UPDATE trials SET spec_json = replace(spec_json, \'"config":{}\', \'"config":{"a":1}\')',),
            "the trial of attempts changed: ",
        ),
        (
            (
                f"DELETE FROM samples WHERE attempt_id IN {LAST_ROUND}",
                f"DELETE FROM attempts WHERE id IN {LAST_ROUND}",
            ),
            "attempts were deleted: ",
        ),
        (
            (
                f"DELETE FROM chain WHERE attempt_id IN {OTHER_ARM}",
                f"UPDATE samples SET value = value * 3 WHERE attempt_id IN {OTHER_ARM}",
            ),
            "the chain of digests is broken at link 0 ",
        ),
        (
            (f"INSERT INTO samples SELECT id, '{SPEED}', 99, 9e9 FROM attempts WHERE id IN {OTHER_ARM}",),
            "the samples of attempts changed: ",
        ),
        (
            ("UPDATE attempts SET position = 100 - position",),
            "the record of attempts changed: ",
        ),
        (
            ("UPDATE studies SET resolved = replace(resolved, 'cache', 'cash')",),
            "the study of the run was changed",
        ),
    ],
    ids=[
        "one arm's samples multiplied",
        "labels swapped",
        "a specification changed",
        "a round deleted",
        "digests deleted, too",
        "samples added",
        "the order of trials changed",
        "the study changed",
    ],
)
def test_a_store_that_was_edited_decides_nothing(
    tmp_path: Path, statements: tuple[str, ...], reason: str
) -> None:
    analysis = edited(tmp_path, *statements)
    assert [claim(analysis, name).verdict for name in CLAIMS] == ["invalid", "invalid"]
    assert {contrast.verdict for contrast in analysis.contrasts} == {"invalid"}
    assert list(analysis.invalid) == ["cache=none", "cache=dynamic"]
    why = analysis.invalid["cache=none"]
    assert why.startswith("the store was changed after it was written: ")
    assert reason in why
    assert "the store was changed" in analysis.answer


def test_a_failed_check_that_passes_later_decides_nothing(tmp_path: Path) -> None:
    loaded = study(compare={"cache": ["none", "dynamic"]}, invariants=["cache-parity"], claims={})
    frames = Planted(loaded=loaded, ratio=flat(2.0)).frames()
    checks = tuple(replace(check, passed=check.arm == "cache=none") for check in frames.checks)
    stored(tmp_path, loaded, replace(frames, checks=checks))
    path = tmp_path / "harness.db"
    connection = sqlite3.connect(path)
    assert connection.execute("UPDATE checks SET passed = 1, deviation = 0 WHERE NOT passed").rowcount == 2
    connection.commit()
    connection.close()
    with open_store(path) as store:
        analysis = analyse(loaded, run_frames(store, store.runs()[0]))
    assert "the checks of attempts changed: " in analysis.invalid["cache=dynamic"]


def test_verify_and_show_name_what_was_edited(invented: Invented, capsys: pytest.CaptureFixture[str]) -> None:
    """The report was right when it was written, and the editor did not touch it."""
    experiment, path = invented.run(), invented.folder / "harness.db"
    report = experiment.report()
    honest = verify(report, str(path))
    assert (honest.problems, honest.difference) == ((), None)
    assert str(honest.chains[0]) in report.read_text(encoding="utf-8")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE samples SET value = value * 3 WHERE attempt_id = 2")
    connection.commit()
    connection.close()
    problem = "the samples of attempts changed: 2 (train"
    assert problem in verify(report, str(path)).problems[0]
    with pytest.raises(InvalidError, match="the store was changed after it was written"):
        verify_report(report, str(path), CommandOutput())
    show_study(invented.experiment(), CommandOutput())
    assert problem in capsys.readouterr().err


DRIVER = """
import sys
import time
from harness.run import lease

lease.NAME = sys.argv[1]
for _ in range(15):
    with lease.machine_lease(lambda _: None):
        begun = time.monotonic_ns()
        sum(range(20_000))
        print(begun, time.monotonic_ns())
"""


def test_drivers_with_other_folders_and_homes_never_measure_at_once(tmp_path: Path) -> None:
    """The clock is the same in every process of a machine."""
    drivers = [
        subprocess.Popen(
            [sys.executable, "-c", DRIVER, f"{lease.NAME}-traps"],
            env={**os.environ, "TMPDIR": str(tmp_path / str(number)), "HOME": str(tmp_path / str(number))},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    lines = [line for driver in drivers for line in driver.communicate(timeout=60)[0].splitlines()]
    spans = sorted(tuple(map(int, line.split())) for line in lines)
    assert len(spans) == 45
    assert all(end <= begun for (_, end), (begun, _) in pairwise(spans))


def test_a_category_of_memory_has_the_same_meaning_in_both_arms() -> None:
    """With one token, the peak of an update is in the optimizer's step, when no activation is alive; with 64
    rows it is in the backward pass. At the peaks of the totals, the ratio would be in the thousands.
    """
    (few, small), (many, large) = (_memory_of(rows) for rows in (1, 64))
    assert 30 < many / few <= 64
    assert few < 0.1 * small < 0.1 * large


def _memory_of(rows: int) -> tuple[float, float]:
    """The bytes of activations and of everything, each at its own peak."""
    model = {"vocab_size": 50, "d_model": 64, "n_layers": 1, "n_heads": 2, "d_ff": 64, "max_positions": 8}
    optimizer = {"kind": "adamw", "lr": 1e-3}
    task = Step.read({"model": model, "batch": rows, "length": 4, "optimizer": optimizer})
    values: dict[str, float] = {}

    def record(metric: str, value: float, _step: int = 0, /) -> None:
        values[metric] = value

    tokens = np.ones((rows, 4), dtype=np.int64)
    record_memory(task.updater(build_model(task.model, 0, device="cpu")), [(tokens, tokens)], record)
    return values["activation_bytes"], values["peak_step_bytes"]
