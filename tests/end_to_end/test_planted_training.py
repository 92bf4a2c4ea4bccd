"""Checkpointing that changes the loss, and saves time, cannot be true: with a bug planted the claim is
invalid, without it refuted.
"""

from __future__ import annotations

import json
from textwrap import indent
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from tests.end_to_end.workplace import Workplace
from tests.support.tiny_study import RECIPE as TINY_RECIPE
from tests.support.tiny_study import patched

RECIPE = patched(
    TINY_RECIPE,
    ("n_layers: 1", "n_layers: 2"),
    ("max_positions: 64", "max_positions: 64, dropout: 0.1"),
    ("lr: 1e-3", "lr: 1e-2"),
)
STUDY = f"""\
study: recompute
question: Does activation checkpointing change what is learned?
task: train
base:
{indent(RECIPE, "  ")}compare:
  model.checkpointing.kind: [none, blocks]
design: {{seeds: 7}}
primary: validation_loss
invariants: [checkpointing-parity]
claims:
  same: {{source: test, says: It changes nothing., holds: checkpointing-parity}}
  worse: {{source: test, says: It raises the loss., level: {{model.checkpointing.kind: blocks}}, ratio: 1.38}}
  faster:
    source: test
    says: It is faster.
    level: {{model.checkpointing.kind: blocks}}
    metric: update_seconds
    ratio: 0.93
    within: 1.06
"""


def run(workplace: Workplace, *options: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    (workplace.folder / "studies" / "recompute.yaml").write_text(STUDY)
    done = CliRunner().invoke(app, ["run", "recompute", "--json", *options])
    answer = json.loads(done.stdout)
    return done.exit_code, answer, {claim["id"]: claim["verdict"] for claim in answer["claims"]}


def test_without_a_bug_the_claimed_loss_is_refuted(in_process: Workplace) -> None:
    code, _, verdicts = run(in_process)
    assert code == 0
    assert verdicts.pop("faster") in (
        "refuted",
        "undecided",
    )  # seven trainings of six updates on a busy machine
    assert verdicts == {"same": "confirmed", "worse": "refuted"}


@pytest.mark.parametrize("bug", ["rng-not-preserved", "other-inputs"])
def test_with_a_bug_in_training_nothing_is_claimed(in_process: Workplace, bug: str) -> None:
    code, answer, verdicts = run(in_process, "--plant", f"checkpointing-parity/{bug}")
    assert code == 5
    (reason,) = answer["invalid"].values()
    assert reason.startswith("invariant checkpointing-parity is broken: ")
    assert (verdicts["worse"], verdicts["faster"]) == ("invalid", "invalid")
    assert verdicts["same"] != "confirmed"
