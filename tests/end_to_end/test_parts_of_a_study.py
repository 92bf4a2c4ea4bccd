"""A study with two parts: each part has its own run, models are trained once, every command covers both."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from typer.testing import CliRunner

import harness
from harness.cli.app import app
from harness.errors import InputError
from harness.store.store import open_store
from tests.end_to_end.workplace import Workplace

PARTS = """\
study: pair
question: What does a cache do to speed and to memory?
task: generate
base:
  model: {recipe: small}
  prompts: {corpus: python-docs, split: test, count: 2, tokens: 8}
  new_tokens: 8
  units: 1
  warm_up: {at_least: 0, at_most: 1, window: 2}
compare:
  cache: [none, dynamic]
primary: decode_tokens_per_second
design: {rounds: 2, exploratory: true}
parts:
  speed:
    claims:
      faster: {source: test, says: Caches are faster., level: {cache: dynamic}, ratio: 1.5}
  memory:
    primary: cache_bytes
    base: {new_tokens: 12}
    claims:
      bytes:
        {source: test, says: Bytes follow the formula., metric: cache_bytes, formula: cache_bytes_formula}
"""
MEASURED_SPEEDS = "part == 'speed' and purpose == 'measure' and metric == 'decode_tokens_per_second'"


@pytest.fixture
def workplace(in_process: Workplace) -> Workplace:
    (in_process.folder / "studies" / "pair.yaml").write_text(PARTS)
    return in_process


def answer(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_every_command_covers_both_parts(workplace: Workplace) -> None:
    planned = answer("plan", "pair")
    assert planned["study"] == "pair"
    assert [part["part"] for part in planned["parts"]] == ["speed", "memory"]
    speed, memory = (part["detectable"] for part in planned["parts"])
    assert (speed["effect"], speed["scatter"], memory["effect"]) == (None, 0.05, 0.0)
    assert "assumed" in speed["source"]

    ran = answer("run", "pair")
    assert [part["part"] for part in ran["parts"]] == ["speed", "memory"]
    assert [claim["id"] for part in ran["parts"] for claim in part["claims"]] == ["faster", "bytes"]
    assert [(part["finished"], part["expected"]) for part in ran["parts"]] == [(7, 7), (5, 5)]  # two lead-ins
    assert ran["report"].endswith("reports/pair.html")

    shown = answer("show", "pair")
    assert [part["run"] for part in shown["parts"]] == [part["run"] for part in ran["parts"]]
    states = [
        [trial["state"] for trial in part["trials"] if trial["purpose"] == "measure"]
        for part in shown["parts"]
    ]
    assert states == [["finished"] * 4] * 2
    assert [row["newest_run"] is not None for row in answer("list") if row["study"] == "pair"] == [True]

    with open_store(workplace.database) as store:
        assert [run.study for run in store.runs()] == ["pair/speed", "pair/memory"]
        trained = [row for run in store.runs() for row in store.trials(run) if row.purpose == "train"]
        assert len(trained) == 1, "both parts load the one model"
    again = answer("plan", "pair")["parts"][0]["detectable"]
    assert again["source"] == f"as in run {ran['parts'][0]['run']}"
    assert again["scatter"] > 0

    experiment = harness.load("pair")
    frame = experiment.frame()
    assert frame.columns[0] == "part"
    assert set(frame["part"]) == {"speed", "memory"}
    assert list(experiment.verdicts()["id"]) == ["faster", "bytes"]
    assert {contrast.arm for contrast in experiment.analysis("memory").contrasts} == {"cache=dynamic"}
    with pytest.raises(InputError, match="pair has no part 'memroy'; did you mean 'memory'"):
        experiment.analysis("memroy")


def test_the_scatter_is_that_of_the_log_ratios_within_rounds(workplace: Workplace) -> None:
    answer("run", "pair", "--set", "design.rounds=3")
    experiment = harness.load("pair", settings=["design.rounds=3"])
    frame = experiment.frame().query(MEASURED_SPEEDS)
    speeds = frame.pivot_table(index="round", columns="arm", values="value")
    ratios = [math.log(row["cache=dynamic"] / row["cache=none"]) for _, row in speeds.iterrows()]
    mean = sum(ratios) / 3
    expected = math.sqrt(sum((ratio - mean) ** 2 for ratio in ratios) / 2)
    scatter = answer("plan", "pair")["parts"][0]["detectable"]["scatter"]
    assert scatter == pytest.approx(expected)
