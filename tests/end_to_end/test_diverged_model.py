"""A training that diverges is data; a study that needs its model says so, first and in one line."""

from __future__ import annotations

import json
import math

from typer.testing import CliRunner

from harness.cli.app import app
from harness.store.store import open_store
from tests.end_to_end.workplace import LEAST, Workplace


def test_a_study_whose_model_diverged_says_so_and_keeps_the_training(in_process: Workplace) -> None:
    recipe = in_process.folder / "studies" / "recipes" / "small.yaml"
    recipe.write_text(recipe.read_text().replace("lr: 1e-3", "lr: 1e30"))
    done = CliRunner().invoke(app, [*LEAST, "--json"])
    answer = json.loads(done.stdout)
    assert done.exit_code == 3
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: training (seed 0) diverged after ")
    assert "so there is no model to measure" in done.stderr
    assert set(answer["invalid"]) == {"cache=none", "cache=dynamic"}
    assert answer["failed"] == [done.stderr.removeprefix("error: ").partition(";")[0]]
    with open_store(in_process.database) as store:
        run = store.runs("tiny")[0]
        [training] = store.trials(run)
        losses = [row.value for row in store.samples(run) if row.metric == "loss"]
    assert (training.state, training.status, training.attempt) == ("diverged", "finished", 1)
    assert not math.isfinite(losses[-1])
