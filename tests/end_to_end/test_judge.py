"""`harness judge` from the command line to its exit code, on programs that end at once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from harness.errors import ChangedError
from harness.experiment.experiment import Experiment
from harness.run.job import Job
from harness.run.stopping import Interrupted
from harness.store.store import open_store
from tests.end_to_end.in_process import Done, InProcess
from tests.support.repository import git, repository, state

PROGRAM = """\
import sys
seed, factor = int(sys.argv[1]), {factor}
scatter = (seed * 7919 % 100 - 50) * 2e-4
print('{{"metric": "loss", "value": %r}}' % (factor * (1 + scatter)))
print("rate", 100 / factor)
"""
SPIN = "sum(range({}))\n"
LUCKY = """\
import os, sys
seed, mark = int(sys.argv[1]), sys.argv[2]
if not os.path.exists(mark):
    open(mark, "w").write(str(seed // 1000))
first = int(open(mark).read()) == seed // 1000
print('{{"metric": "loss", "value": %r}}' % ({factor} * (1 + seed % 7 * 1e-3)))
"""
VERSIONS = {
    name: {"train.py": PROGRAM.format(factor=factor), "spin.py": SPIN.format(turns), "lucky.py": lucky}
    for name, factor, turns, lucky in (
        ("base", "2.0", 10, LUCKY.format(factor="2.0")),
        ("better", "1.9", 10, LUCKY.format(factor="1.9")),
        ("worse", "2.1", 5_000_000, LUCKY.format(factor="(1.9 if first else 2.0)")),
        ("same", "2.0002", 10, ""),
        ("unsteady", "2.0 + (int(sys.argv[1]) % 2 - 0.5) * 0.2", 10, ""),
        ("nan", "float('nan')", 10, ""),
        ("crash", "sys.exit(7)", 10, ""),
        ("silent", "sys.exit(0)", 10, ""),
        ("last", "2.0", 10, LUCKY.format(factor="2.0")),
    )
}
TRAIN = "{python} -S -E train.py {seed}"
LOSS = ("--command", TRAIN, "--metric", "loss")


@dataclass(frozen=True)
class Here:
    """A repository in which commands run, and what they have written."""

    folder: Path

    def judge(self, *arguments: str) -> Result:
        with contextlib.chdir(self.folder):
            return CliRunner().invoke(app, ["judge", *arguments])

    def data(self, *arguments: str) -> dict[str, Any]:
        done = self.judge(*arguments, "--json")
        judgement: dict[str, Any] = json.loads(done.stdout)
        assert judgement["exit_code"] == done.exit_code
        return judgement

    def trials(self) -> int:
        database = self.folder / "results" / "harness.db"
        if not database.exists():
            return 0
        with open_store(database) as store:
            return sum(len(store.trials(run, include_superseded=True)) for run in store.runs())


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Here:
    return Here(repository(tmp_path_factory.mktemp("judge") / "mine", VERSIONS))


@pytest.fixture(autouse=True)
def _in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials run in this process, and reports are empty files: both would take most of the time."""
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", InProcess)
    monkeypatch.setattr("harness.report.build.write_report", lambda _, path: path.touch())
    for name in list(os.environ):
        if name.startswith("HARNESS_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("a", "b", "code", "verdict"),
    [
        ("base", "better", 0, "better"),
        ("base", "same", 1, "equivalent"),
        ("base", "unsteady", 4, "undecided"),
        ("base", "crash", 5, "invalid"),
        pytest.param("base", "worse", 1, "worse", marks=pytest.mark.slow),
        pytest.param("crash", "base", 5, "invalid", marks=pytest.mark.slow),
        pytest.param("base", "silent", 5, "invalid", marks=pytest.mark.slow),
    ],
)
def test_every_verdict_has_its_exit_code_and_stands(
    here: Here, a: str, b: str, code: int, verdict: str
) -> None:
    """Asking again measures nothing and says the same."""
    before = state(here.folder)
    first = here.data(a, b, *LOSS)
    assert (first["verdict"], first["exit_code"]) == (verdict, code)
    measured = here.trials()
    again = here.judge(a, b, *LOSS)
    assert (here.trials(), again.exit_code) == (measured, code)
    assert again.stdout.startswith(f"{verdict}: {first['reason']}")
    assert state(here.folder) == before
    assert git(here.folder, "status", "--porcelain") == "?? reports/\n?? results/"


@pytest.mark.slow
def test_values_that_are_no_numbers_are_never_better(here: Here) -> None:
    assert here.judge("base", "nan", *LOSS).exit_code in (1, 5)
    assert here.judge("nan", "base", *LOSS).exit_code != 1
    assert here.judge("base", "nan", *LOSS, "--higher").exit_code in (1, 5)


def test_the_data_of_a_judgement(here: Here) -> None:
    data = here.data("base", "better", *LOSS, "--margin", "0.02")
    assert data["effect"] == pytest.approx(0.95)
    assert data["low"] <= data["effect"] <= data["high"]
    assert (data["n"], data["margin"], data["better"], data["metric"]) == (8, 0.02, "lower", "loss")
    assert (data["a"]["named"], data["b"]["revision"]) == ("base", git(here.folder, "rev-parse", "better"))
    assert (data["confirmed_again"], data["controls_that_moved"]) == (None, [])
    assert (here.folder / data["report"]).is_file()
    assert set(data) == {
        *("verdict", "exit_code", "reason", "metric", "better", "effect", "low", "high", "n", "margin"),
        *("confirmed_again", "controls_that_moved", "earlier", "warnings", "a", "b", "runs", "report"),
    }


@pytest.mark.slow
def test_another_question_about_a_pair_gets_new_seeds_and_lists_the_earlier_ones(tmp_path: Path) -> None:
    here = Here(repository(tmp_path / "mine", {name: VERSIONS[name] for name in ("base", "better")}))
    first = here.data("base", "better", *LOSS)
    wider = here.data("base", "better", *LOSS, "--margin", "0.02")
    reversed_one = here.data("better", "base", *LOSS)
    longer = here.data("base", "better", *LOSS, "--seeds", "9")
    runs = [data["runs"][0] for data in (first, wider, reversed_one, longer)]
    assert [data["verdict"] for data in (first, wider, reversed_one)] == ["better", "better", "worse"]
    assert len(set(runs)) == 4
    assert here.trials() == 3 * 16 + 18  # nothing was measured for nothing
    assert first["earlier"] == []
    for data, before in ((wider, runs[:1]), (reversed_one, runs[:2]), (longer, runs[:3])):
        assert [run for run in before if run not in data["earlier"][0]] == []
    with open_store(here.folder / "results" / "harness.db") as store:
        seeds = [{row.spec.generator for row in _specs(store, run)} for run in store.runs()]
    assert all(one.isdisjoint(other) for one in seeds for other in seeds if one is not other)
    assert min(min(one) for one in seeds) >= 1000
    assert here.judge("base", "better", *LOSS).exit_code == 0  # the first verdict stands


@dataclass(frozen=True)
class _Spec:
    spec: Any


def _specs(store: Any, run: Any) -> list[_Spec]:
    from harness.trial.spec import TrialSpec

    return [_Spec(TrialSpec.model_validate_json(row.spec_json)) for row in store.planned(run)]


@pytest.mark.parametrize(
    ("b", "code", "verdict"),
    [pytest.param("better", 0, "better", marks=pytest.mark.slow), ("worse", 1, "not better")],
)
def test_a_gain_must_hold_on_new_seeds_to_be_confirmed(
    here: Here, tmp_path: Path, b: str, code: int, verdict: str
) -> None:
    """The gain of `worse` holds for the seeds of the first measurement only."""
    question = (
        *("base", b, "--metric", "loss"),
        *("--command", f"{{python}} -S -E lucky.py {{seed}} {tmp_path / 'mark'}"),
    )
    assert here.judge(*question).exit_code == 0
    measured = here.trials()
    confirmed = here.data(*question, "--confirm")
    assert (confirmed["exit_code"], confirmed["verdict"]) == (code, verdict)
    assert confirmed["confirmed_again"] == ("confirmed" if code == 0 else "refuted")
    assert here.trials() == measured + 16
    assert here.judge(*question, "--confirm").exit_code == code
    assert here.judge(*question).exit_code == code  # what is known does not go away
    assert here.trials() == measured + 16


@pytest.mark.slow
def test_trials_that_failed_run_again_only_on_request(here: Here, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    fails = f"import sys; open({str(mark)!r}); exec(open('train.py').read())"
    question = ("base", "better", "--command", f'{{python}} -S -E -c "{fails}" {{seed}}', "--metric", "loss")
    assert here.judge(*question).exit_code == 5
    mark.touch()
    assert here.judge(*question).exit_code == 5
    assert here.data(*question, "--retry-failed")["verdict"] == "better"


@pytest.mark.slow
def test_a_control_that_moves_makes_the_judgement_invalid(here: Here) -> None:
    data = here.data("base", "worse", *LOSS, "--control", "spin={python} -S -E spin.py")
    assert (data["exit_code"], data["controls_that_moved"]) == (5, ["control_spin"])
    assert "differs between the versions" in data["reason"]


@pytest.mark.slow
def test_a_control_that_fails_makes_the_judgement_invalid(here: Here) -> None:
    data = here.data("base", "better", *LOSS, "--control", "gone={python} -S -E gone.py")
    assert (data["exit_code"], data["controls_that_moved"]) == (5, ["control_gone"])
    assert "could not be measured" in data["reason"]


def test_a_budget_decides_how_many_pairs_are_measured(here: Here) -> None:
    few = here.judge("base", "better", *LOSS, "--budget", "0.001s")
    assert few.exit_code == 2
    assert "are enough for 0 pairs; at least 6 are needed" in few.stderr
    enough = here.data("base", "better", *LOSS, "--budget", "1h", "--seeds", "7")
    assert (enough["n"], enough["exit_code"]) == (7, 0)
    measured = here.trials()
    assert here.data("base", "better", *LOSS, "--budget", "1h", "--seeds", "7")["runs"] == enough["runs"]
    assert here.trials() == measured


@pytest.mark.slow
def test_a_rate_is_measured_in_rounds_until_it_is_known(here: Here) -> None:
    rate = ("--metric", "rate", "--higher", "--values", "pattern:rate ([0-9.]+)", "--command", TRAIN)
    data = here.data("base", "better", *rate, "--until", "0.1", "--rounds", "20")
    assert (data["verdict"], data["n"], data["better"]) == ("better", 10, "higher")
    assert data["effect"] == pytest.approx(2 / 1.9)


@pytest.mark.slow
def test_differences(here: Here) -> None:
    data = here.data("base", "better", *LOSS, "--difference", "--margin", "0.05")
    assert data["verdict"] == "better"
    assert data["effect"] == pytest.approx(-0.1, rel=0.01)
    assert "--difference needs --margin" in here.judge("base", "better", *LOSS, "--difference").stderr


@pytest.mark.slow
def test_commands_are_versions_too(here: Here) -> None:
    commands = [f"{{python}} -S -E train.py {{seed}}{end}" for end in ("", " ignored")]
    assert here.data(*commands, "--metric", "loss")["verdict"] in ("equivalent", "identical")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("base", "base", *LOSS), "A and B are the same files with the same command"),
        (("base", "refs/tags/base", *LOSS), "A and B are the same files with the same command"),
        (("base", ".", *LOSS), "A and B are the same files with the same command"),
        (("", "base", *LOSS), "the name of a version is empty"),
        (("base", "gone", *LOSS), "'gone' is neither a folder nor a revision"),
        (("base", "better", "--command", "x", "--metric", "loss", "--seeds", "8"), "does not take the seed"),
        (("base", "better", *LOSS, "--seeds", "5"), "--seeds 5 is too few; use at least 6"),
        (("base", "better", *LOSS, "--rounds", "1"), "--rounds 1 is too few; use at least 6"),
        (("base", "better", *LOSS, "--seeds", "8", "--rounds", "9"), "give either --seeds, or --rounds"),
        (("base", "better", "--command", TRAIN, "--seeds", "8"), "command_seconds is a time"),
        (("base", "better", "--command", TRAIN, "--higher"), "lower values of command_seconds are better"),
        (("base", "better", "--command", "'", "--metric", "loss"), "check the quotes"),
        (("base", "better", "--command", "", "--metric", "loss"), "the command is empty"),
        (("base", "better", *LOSS, "--budget", "long"), "this is not a time"),
        (("base", "better", *LOSS, "--setup", "echo no; exit 3"), "exit code 3: no; the command was"),
    ],
)
def test_what_cannot_be_asked_is_one_line(here: Here, arguments: tuple[str, ...], message: str) -> None:
    measured = here.trials()
    done = here.judge(*arguments)
    assert (done.exit_code, done.stdout, here.trials()) == (2, "", measured)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_option_as_a_name_is_no_option_of_git(here: Here) -> None:
    done = here.judge(*LOSS, "--", "--upload-pack=touch stolen", "base")
    assert done.exit_code == 2
    assert not (here.folder / "stolen").exists()


def test_an_interrupted_judgement_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Here(repository(tmp_path / "mine", {name: VERSIONS[name] for name in ("base", "better")}))

    class UntilTheSixth(InProcess):
        def submit(self, job: Job) -> Done:  # type: ignore[override]
            if here.trials() >= 5:
                raise Interrupted(signal.SIGINT)
            return super().submit(job)

    monkeypatch.setattr("harness.run.backends.local.LocalBackend", UntilTheSixth)
    broken = here.judge("base", "better", *LOSS)
    assert (broken.exit_code, broken.stdout) == (130, "")
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", InProcess)
    assert here.data("base", "better", *LOSS)["n"] == 8
    with open_store(here.folder / "results" / "harness.db") as store:
        assert [len(store.trials(run)) for run in store.runs()] == [16]


@pytest.mark.parametrize(
    ("fault", "code"),
    [(RuntimeError("x"), 70), (BrokenPipeError(), 70), (KeyError("x"), 70), (ChangedError("x"), 4)],
)
def test_a_fault_is_never_an_answer(
    here: Here, monkeypatch: pytest.MonkeyPatch, fault: Exception, code: int
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr(Experiment, "run", broken)
    assert here.judge("base", "better", *LOSS).exit_code == code


@pytest.mark.slow
def test_a_package_that_is_installed_from_the_working_tree_does_not_hide_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of a package in development may lie on PYTHONPATH: the version comes first."""
    program = {"run.py": 'import net; print(\'{"metric": "loss", "value": %r}\' % net.LOSS)\n'}
    texts = {
        name: {**program, "src/net.py": f"LOSS = {loss}\n"} for name, loss in (("old", 2.0), ("new", 1.5))
    }
    here = Here(repository(tmp_path / "mine", texts))
    monkeypatch.setenv("PYTHONPATH", str(here.folder / "src"))
    data = here.data("old", "new", "--command", "{python} run.py", "--metric", "loss", "--rounds", "6")
    assert data["effect"] == pytest.approx(0.75)


@pytest.mark.slow
def test_builds_are_not_repeated_and_both_are_used(here: Here) -> None:
    """The set-up of each version makes a file that Git would ignore."""
    shutil.rmtree(here.folder / "results" / "judge" / "builds", ignore_errors=True)
    setup = 'echo x >> ../count; cp train.py made.py; echo "*" > .gitignore'
    made = ("--command", "{python} -S -E made.py {seed}", "--metric", "loss", "--setup", setup)
    assert here.data("base", "better", *made)["effect"] == pytest.approx(0.95)
    assert here.judge("better", "base", *made).exit_code == 1
    assert (here.folder / "results/judge/builds/count").read_text() == "x\n" * 2
