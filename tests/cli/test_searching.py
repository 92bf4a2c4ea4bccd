"""`harness search`: its options, what it refuses, and what it prints."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest
from typer.testing import Result

from harness.errors import StudyError
from harness.study.search_options import SearchOptions
from tests.end_to_end.in_process import Scripted
from tests.end_to_end.test_bad_input import folders, tree
from tests.end_to_end.workplace import Workplace
from tests.search.scene import make_sessions_quick
from tests.support.searched_study import SEARCHED, crashed, trained
from tests.support.tiny_study import LOSS

UNSEARCHED = SEARCHED[: SEARCHED.index("search:\n")]


def options(**given: Any) -> SearchOptions:
    return SearchOptions(**{"space": (), "objective": (), "sampler": None, "enqueue": (), **given})


@pytest.mark.parametrize(
    ("values", "parameter"),
    [
        ("1e-4:1e-1:log", {"low": 1e-4, "high": 1e-1, "log": True}),
        ("1:8", {"low": 1, "high": 8}),
        ("0.5:2.0:0.25", {"low": 0.5, "high": 2.0, "step": 0.25}),
        ("16:64:16", {"low": 16, "high": 64, "step": 16}),
        ("adamw,lion", {"choices": ["adamw", "lion"]}),
        ("null,1.0,true,1,'1'", {"choices": [None, 1.0, True, 1, "1"]}),
        ("a=b,c", {"choices": ["a=b", "c"]}),
    ],
)
def test_a_space_is_written_as_a_range_or_as_choices(values: str, parameter: dict[str, Any]) -> None:
    [override] = options(space=[f"some.setting={values}"]).overrides()
    assert override.path == ("search", "space", "some.setting")
    assert override.value == parameter
    types = [type(one) for one in parameter.get("choices", parameter.values())]
    assert [type(one) for one in override.value.get("choices", override.value.values())] == types
    assert str(override.at) == f"--space some.setting={values}"


def test_options_replace_keys_of_the_study_and_can_be_given_again() -> None:
    given = options(
        space=["clip=0.5,1.0"],
        objective=["loss", "mfu"],
        sampler="grid",
        enqueue=["clip=0.5,batch=4", "clip=1.0,batch=8"],
    )
    values = {override.path: override.value for override in given.overrides()}
    assert values == {
        ("search", "space", "clip"): {"choices": [0.5, 1.0]},
        ("search", "objective"): ["loss", "mfu"],
        ("search", "sampler"): {"kind": "grid"},
        ("search", "enqueue"): [{"clip": 0.5, "batch": 4}, {"clip": 1.0, "batch": 8}],
    }
    assert given.words == (
        *("--space", "clip=0.5,1.0", "--objective", "loss", "--objective", "mfu", "--sampler", "grid"),
        *("--enqueue", "clip=0.5,batch=4", "--enqueue", "clip=1.0,batch=8"),
    )
    [alone] = options(objective=["loss"]).overrides()
    assert alone.value == "loss"


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("optimizer.lr", "this is not PATH=VALUES; for example --space optimizer.lr=1e-4:1e-1:log, or "),
        ("=1:2", "this is not PATH=VALUES; "),
        ("optimizer.lr=", "this is not PATH=VALUES; "),
        ("optimizer.lr=1:2:3:4", "a range is LOW:HIGH, LOW:HIGH:log or LOW:HIGH:STEP; "),
        ("optimizer.lr=.nan:1", ".nan is not allowed"),
        ("optimizer.lr=[1,2", "not valid YAML: "),
        ("optimizer.lr=*a,b", "the alias *a is not allowed"),
    ],
)
def test_a_malformed_space_is_refused_with_an_example(space: str, message: str) -> None:
    with pytest.raises(StudyError) as refused:
        options(space=[space]).overrides()
    assert str(refused.value).startswith(f"--space {space}: {message}")
    assert refused.value.exit_code == 2


def refused(workplace: Workplace, *arguments: str) -> str:
    """The error of the command, which must be one line. The command must not change any file."""
    before = tree(workplace.folder), folders(workplace.folder)
    done = workplace.asked("search", "tiny", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert (tree(workplace.folder), folders(workplace.folder)) == before
    assert done.stderr.count("\n") == 1
    return str(done.stderr).removeprefix("error: ").rstrip("\n")


RANGE = ("--space", "optimizer.lr=1e-4:1e-1:log")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (),
            (
                "studies/tiny.yaml:1:1: this study does not say where to search; "
                "add `search: {space: …}`, or use --space PATH=LOW:HIGH"
            ),
        ),
        (("--sampler", "grid"), "--sampler grid: missing key 'space' in search"),
        (
            ("--space", "optimizer.lr=1e-1:1e-4"),
            (
                "--space optimizer.lr=1e-1:1e-4: search.space.optimizer.lr: the range from 0.1 to 0.0001 is "
                "empty; `low` must be less than `high`"
            ),
        ),
        (
            ("--space", "optimizer.lrr=1e-4:1e-1"),
            (
                "--space optimizer.lrr=1e-4:1e-1: unknown key 'lrr' in optimizer "
                "(with optimizer.lrr=0.0001); did you mean 'lr'?"
            ),
        ),
        (
            ("--space", "model.n_heads=1,3"),
            (
                "--space model.n_heads=1,3: model: d_model 16 is not a multiple of n_heads 3 "
                "(with model.n_heads=3)"
            ),
        ),
        (
            ("--space", "batch=2:8"),
            (
                "--space batch=2:8: arms must do the same work on the same text: training tokens is 256 for "
                "point=best, but 512 for the baseline (with batch=2); make them equal, or declare what the "
                "comparison is meant to vary: `parity: {differ: [training_tokens]}`"
            ),
        ),
        (
            (*RANGE, "--sampler", "tpee"),
            "--sampler tpee: search.sampler.kind: 'tpee' is not an allowed value; did you mean 'tpe'?",
        ),
        (
            (*RANGE, "--objective", "validation_los"),
            (
                "--objective validation_los: task 'train' does not produce the metric 'validation_los'; "
                "did you mean 'validation_loss' or 'validation_loss_as_trained'?"
            ),
        ),
        (
            (*RANGE, "--enqueue", "optimizer.lr=7"),
            "--enqueue optimizer.lr=7: 7 is not a value of optimizer.lr in this space",
        ),
        (
            (*RANGE, "--enqueue", "optimizer.lr"),
            (
                "--enqueue optimizer.lr: this is not PATH=VALUES; "
                "for example --enqueue optimizer.lr=3e-3,batch=16"
            ),
        ),
        ((*RANGE, "--part", "long"), "the study has no part 'long'"),
        (
            (*RANGE, "--timeout", "0s"),
            "--timeout 0s: this is not a time; write for example 90s, 30m, 1.5h or a number of seconds",
        ),
    ],
)
def test_a_command_that_cannot_work_is_refused(
    workplace: Workplace, arguments: tuple[str, ...], message: str
) -> None:
    workplace.study.write_text(UNSEARCHED)
    assert refused(workplace, *arguments) == message


def test_a_single_point_is_no_search(workplace: Workplace) -> None:
    workplace.study.write_text(SEARCHED)
    done = workplace.asked("search", "tiny", "--trials", "1")
    assert done.exit_code == 2
    assert "Invalid value for '--trials'" in done.stderr
    assert not (workplace.folder / "results").exists()


@pytest.fixture
def scripted(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """Trials only say how they end, and a report is an empty file."""
    make_sessions_quick(monkeypatch)
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", lambda **_: nullcontext(Scripted(trained)))
    monkeypatch.setattr("harness.report.build.write_report", lambda _, path: path.touch())
    workplace.study.write_text(UNSEARCHED)
    return workplace


def searched(workplace: Workplace, *arguments: str) -> Result:
    return workplace.asked("search", "tiny", *RANGE, "--trials", "4", *arguments)


def test_the_answer_has_the_points_that_were_compared_and_tables_that_are_spoilt_are_refused(
    scripted: Workplace,
) -> None:
    done = searched(scripted, "--json")
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["search"]["points"] == 4
    begin, best = answer["search"]["begin"], answer["search"]["best"]
    assert (begin["point"], begin["settings"]) == (0, {"optimizer.lr": 1e-3})
    assert best["point"] in (1, 2, 3)
    assert best[LOSS] > 0
    assert [claim["id"] for claim in answer["claims"]] == ["proof"]
    assert answer["report"] == "reports/tiny.search.html"
    assert (scripted.folder / answer["report"]).exists()
    again = json.loads(searched(scripted, "--json").stdout)
    assert (again["search"], again["claims"]) == (answer["search"], answer["claims"])
    tables = scripted.folder / "results" / "optuna.db"
    tables.write_text("my notes about Optuna, " * 100)
    line = refused(scripted, *RANGE, "--trials", "6")
    assert line == f"{tables}: Optuna cannot use its tables: file is not a database"


def test_a_search_whose_first_point_cannot_run_ends_with_its_reason(
    scripted: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", lambda **_: nullcontext(Scripted(crashed)))
    done = searched(scripted)
    assert done.exit_code == 3
    assert done.stderr.splitlines()[-1] == (
        "error: the arm with which the search begins cannot be run: trouble"
    )
