"""A baseline in a file: written for pytest-benchmark, read strictly, and compared without pairs."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.errors import InputError
from harness.gate.baseline_file import (
    KEY,
    Figures,
    compare_figures,
    read_figures,
    write_figures,
)

NAME = "bench/test_x.py::Group::test_x[a::b/c]"
SIZE = 20


def seconds(ratio: float = 1.0, *, seed: int = 0, scatter: float = 0.01) -> tuple[float, ...]:
    random = np.random.default_rng(seed)
    return tuple(float(one) for one in 0.01 * ratio * np.exp(random.normal(0, scatter, SIZE)))


def figures(benchmarks: Mapping[str, tuple[float, ...]] | None = None, **others: Any) -> Figures:
    benchmarks = {NAME: seconds()} if benchmarks is None else benchmarks
    default = {"machine": "m1", "control": seconds(seed=9), "code": dict.fromkeys(benchmarks, "c")}
    return Figures(benchmarks=benchmarks, **{**default, **others})


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write_figures(tmp_path / "base.json", figures())
    assert read_figures(tmp_path / "base.json") == figures()


def test_pytest_benchmark_compares_the_file(tmp_path: Path) -> None:
    write_figures(tmp_path / "base.json", figures({NAME: seconds(), "a.py::test_b": seconds(2.0)}))
    command = [sys.executable, "-m", "pytest_benchmark", "compare", str(tmp_path / "base.json")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "test_x[a::b/c]" in done.stdout
    assert "test_b" in done.stdout


def changed(document: dict[str, Any], path: list[Any], value: object) -> None:
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ([KEY], None, "does not say on which machine"),
        ([KEY, "machine"], 3, "does not say on which machine"),
        ([KEY, "control"], [], "the figures of the control loop are no times"),
        ([KEY, "control"], [1.0], "the figures of the control loop are no times"),
        ([KEY, "code"], {}, "the digest of the code"),
        (["benchmarks", 0, "stats"], None, f"the figures of {NAME} are no times"),
        (["benchmarks", 0, "stats", "data"], [], "are no times"),
        (["benchmarks", 0, "stats", "data"], [1.0, math.nan], "are no times"),
        (["benchmarks", 0, "stats", "data"], [1.0, 0], "are no times"),
        (["benchmarks", 0, "stats", "data"], [1.0, -1], "are no times"),
        (["benchmarks", 0, "stats", "data"], [1.0, True], "are no times"),
        (["benchmarks", 0, "stats", "data"], [1.0, "1"], "are no times"),
        (["benchmarks", 0, "stats", "data"], [1.0, 10**400], "are no times"),
        (["benchmarks", 0, "stats", "median"], 0, "are no times"),
        (["benchmarks", 0], 1, "a benchmark has no full name"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, path: list[Any], value: object, message: str) -> None:
    file = tmp_path / "base.json"
    write_figures(file, figures())
    document = json.loads(file.read_text())
    changed(document, path, value)
    file.write_text(json.dumps(document))
    with pytest.raises(InputError) as error:
        read_figures(file)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{file}: ")


def test_integers_are_times(tmp_path: Path) -> None:
    write_figures(tmp_path / "base.json", figures({NAME: (1, 2, 3)}))
    assert read_figures(tmp_path / "base.json").benchmarks == {NAME: (1, 2, 3)}


@pytest.mark.parametrize(
    ("ratio", "state"), [(1.0, "within"), (0.5, "within"), (1.1, "regressed"), (1.05, "undecided")]
)
def test_the_states(ratio: float, state: str) -> None:
    (one,), problem = compare_figures(figures(), figures({NAME: seconds(ratio, seed=1)}))
    assert (one.state, problem, one.rounds) == (state, "", SIZE)
    assert one.ratio == pytest.approx(ratio, rel=0.02)
    assert one.low < one.ratio < one.high


def test_equal_figures_are_within() -> None:
    (one,), _ = compare_figures(figures(), figures())
    assert one.state == "within"
    assert one.ratio == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(10))
def test_the_decision_is_that_of_scipy_with_holm_by_hand(seed: int) -> None:
    random = np.random.default_rng(seed)
    before = {name: seconds(seed=int(random.integers(1_000_000))) for name in "abc"}
    now = {
        name: seconds(
            float(random.choice([1.0, 1.06, 1.1])), seed=int(random.integers(1_000_000)), scatter=0.03
        )
        for name in "abc"
    }
    p_values = {
        name: stats.mannwhitneyu(
            np.log(now[name]) - math.log(1.05), np.log(before[name]), alternative="two-sided"
        ).pvalue
        if np.median(now[name]) > 1.05 * np.median(before[name])
        else 1.0
        for name in "abc"
    }
    red = set()
    for step, name in enumerate(sorted("abc", key=lambda name: p_values[name])):
        if p_values[name] > 0.05 / (3 - step):
            break
        red.add(name)
    findings, _ = compare_figures(figures(before), figures(now))
    assert {one.name for one in findings if one.state == "regressed"} == red


def test_a_margin_of_its_own() -> None:
    (one,), _ = compare_figures(figures(), figures({NAME: seconds(1.1, seed=1)}, margins={NAME: 0.2}))
    assert (one.state, one.margin) == ("within", 0.2)


def test_new_vanished_and_changed_benchmarks() -> None:
    before = figures({"a": seconds(), "b": seconds(), "c": seconds()}, code={"a": "1", "b": "1", "c": "1"})
    now = figures({"a": seconds(), "c": seconds(), "d": seconds()}, code={"a": "1", "c": "2", "d": "1"})
    findings, _ = compare_figures(before, now)
    assert {one.name: one.state for one in findings} == {
        "a": "within",
        "b": "vanished",
        "c": "changed",
        "d": "new",
    }
    chosen, _ = compare_figures(before, now, among=["a"])
    assert [one.name for one in chosen] == ["a"]


def test_another_machine_and_a_control_that_moved_decide_nothing() -> None:
    findings, problem = compare_figures(figures(), replace(figures(), machine="m2"))
    assert (findings, problem) == ((), "the baseline was measured on another machine or with other software")
    for ratio in (1.2, 0.8):
        findings, problem = compare_figures(figures(), figures(control=seconds(ratio, seed=3)))
        assert findings == ()
        assert "control loop" in problem
