"""`harness gate` as a person and as a program use it: exit codes, baselines, files, and bad input."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.cli import gating
from harness.cli.app import app
from harness.gate.baseline_file import Figures, read_figures, write_figures
from harness.gate.gate import GateQuestion
from harness.gate.result import GateResult, GateVerdict, result_of
from harness.gate.self_test import SelfTest
from harness.programs.source_tree import SourceTree
from tests.gate.fake_suite import A, B, Project, commit, run_git

Gate = Callable[..., Result]


def times(ratio: float = 1.0) -> tuple[float, ...]:
    return tuple(ratio * (1 + 0.001 * number) for number in range(12))


def figures(ratio: float = 1.0, machine: str = "m1") -> Figures:
    return Figures(
        machine=machine,
        control=times(),
        benchmarks={A: times(ratio), B: times()},
        code={A: "1", B: "1"},
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The command runs in the folder `tree` of a project."""
    project = Project.make(tmp_path, monkeypatch)
    monkeypatch.chdir(project.folder / "tree")
    return project


@pytest.fixture
def gate(project: Project) -> Gate:
    common = ["gate", "--benchmarks", "bench", "--python", str(project.python), "--quiet"]
    return lambda *arguments: CliRunner().invoke(app, [*common, *arguments])


@pytest.mark.parametrize(
    ("verdict", "code"), [("passed", 0), ("regressed", 1), ("undecided", 4), ("invalid", 5)]
)
def test_the_exit_code_says_the_verdict(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, project: Project, verdict: GateVerdict, code: int
) -> None:
    monkeypatch.setattr(gating, "gate", lambda *_, **__: GateResult(verdict=verdict, reason="why"))
    baseline = ("--against", "../baseline")
    for form in ((), ("--json",), ("--format", "markdown"), ("--format", "smaller-is-better")):
        done = gate(*baseline, *form)
        assert (done.exit_code, done.stderr) == (code, "")
    assert gate(*baseline).stdout.splitlines()[0] == f"{verdict}: why"
    assert json.loads(gate(*baseline, "--json").stdout)["exit_code"] == code


def test_a_table_and_json_have_every_benchmark(gate: Gate, project: Project) -> None:
    project.script.ratios = [{A: 1.1}]
    done = gate("--against", "../baseline")
    assert done.exit_code == 1
    assert [line.split("\t")[:2] for line in done.stdout.splitlines()[2:]] == [
        [A, "regressed"],
        [B, "within"],
    ]
    data = json.loads(gate("--against", "../baseline", "--json").stdout, parse_constant=pytest.fail)
    assert [one["state"] for one in data["findings"]] == ["regressed", "within"]
    assert data["findings"][0]["low"] > 1.05


class Asked:
    """The questions that the command asked; every answer is `passed`."""

    def __init__(self) -> None:
        self.questions: list[GateQuestion] = []

    def __call__(self, question: GateQuestion, **_: object) -> GateResult:
        self.questions.append(question)
        return GateResult(verdict="passed", reason="")

    @property
    def baseline(self) -> dict[str, Any]:
        seconds: dict[str, Any] = json.loads(
            (self.questions[-1].versions[0].folder / "speeds.json").read_text()
        )["seconds"]
        return seconds


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    made = Asked()
    monkeypatch.setattr(gating, "gate", made)
    return made


def test_the_baseline_is_the_last_commit_or_the_one_before_if_nothing_has_changed(
    gate: Gate, project: Project, asked: Asked
) -> None:
    tree = project.folder / "tree"
    for seconds in (1, 2):
        project.put("tree", {A: seconds})
        commit(tree)
    assert gate().exit_code == 0
    assert asked.baseline == {A: 1}
    (tree / "results").mkdir(exist_ok=True)
    (tree / "results" / "notes.txt").write_text("what the harness made is no change")
    assert gate().exit_code == 0
    assert asked.baseline == {A: 1}
    (tree / "bench/test_new.py").write_text("")
    assert gate().exit_code == 0
    assert asked.baseline == {A: 2}, "an untracked file is a change"
    named = asked.questions[-1].versions[1]
    assert "bench/test_new.py" in SourceTree.read(named.folder, named.patterns).files
    assert gate("--against", "HEAD~1").exit_code == 0
    assert asked.baseline == {A: 1}


def test_a_tree_without_changes_is_the_last_commit(gate: Gate, project: Project, asked: Asked) -> None:
    for seconds in (1, 2):
        project.put("tree", {A: seconds})
        commit(project.folder / "tree")
    for setup in ((), ("--setup", "echo built > made.txt")):
        assert gate(*setup).exit_code == 0
        before, tree = asked.questions[-1].versions
        assert (len(tree.revision or ""), tree.revision == before.revision) == (40, False)
        assert tree.committed is not None
    (project.folder / "tree/bench/test_new.py").write_text("")
    assert gate().exit_code == 0
    before, changed = asked.questions[-1].versions
    assert (before.revision, changed.revision, changed.committed) == (tree.revision, None, None)


def test_accepted_commits_are_in_the_history_once(gate: Gate, project: Project) -> None:
    for _ in range(3):
        (project.folder / "tree/notes.txt").open("a").write("more\n")
        commit(project.folder / "tree")
    for against in ("HEAD~1", "HEAD~2"):
        assert gate("--against", against).exit_code == 0
    document = json.loads(gate("--history", "--json").stdout)
    listed = run_git(project.folder / "tree", "log", "--format=%H")
    for one in document["benchmarks"]:
        revisions = [figure["revision"] for figure in one["figures"]]
        assert sorted(revisions) == sorted(listed.splitlines())
    assert [one["benchmark"] for one in document["benchmarks"]] == [A, B]


def test_in_a_folder_of_a_repository_only_that_folder_counts(
    gate: Gate, project: Project, asked: Asked
) -> None:
    for seconds in (1, 2):
        project.put("tree", {A: seconds})
        commit(project.folder)
    (project.folder / "elsewhere.txt").write_text("")
    assert gate().exit_code == 0
    assert asked.baseline == {A: 1}


def test_without_an_earlier_revision_the_command_says_what_to_do(gate: Gate, project: Project) -> None:
    done = gate()
    assert done.exit_code == 2
    assert "there is no earlier revision to compare with" in done.stderr
    assert "--baseline FILE" in done.stderr
    commit(project.folder / "tree")
    done = gate()
    assert (done.exit_code, "'HEAD~1' is neither" in done.stderr) == (2, True)


def test_without_git_a_file_and_a_folder_are_baselines(
    gate: Gate, project: Project, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project.folder / "nothing"))
    assert gate().exit_code == 2
    assert gate("--against", "../baseline").exit_code == 0
    assert asked.baseline == {A: 0.01, B: 0.02}
    monkeypatch.setattr(gating, "measure_figures", lambda *_, **__: figures())
    assert gate("--baseline", "base.json").exit_code == 0


def test_the_first_run_is_saved_and_later_ones_are_compared(
    gate: Gate, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = [figures(), figures(1.01), figures(1.2), figures(1.2), figures(machine="m2")]
    monkeypatch.setattr(gating, "measure_figures", lambda *_, **__: measured.pop(0))
    monkeypatch.setattr("harness.gate.figures.measure_figures", lambda *_, **__: measured.pop(0))
    first = gate("--baseline", "base.json")
    assert (first.exit_code, first.stdout.splitlines()[0]) == (
        0,
        "passed: the first run was saved in base.json; nothing was compared",
    )
    saved = Path("base.json").read_bytes()
    assert gate("--baseline", "base.json").exit_code == 0
    assert gate("--baseline", "base.json").exit_code == 1
    other = gate("--baseline", "base.json", "--save", "new.json")
    assert (other.exit_code, "another machine" in other.stdout) == (5, True)
    assert Path("base.json").read_bytes() == saved
    assert read_figures(Path("new.json")).machine == "m2"
    assert measured == []


@pytest.mark.parametrize(
    ("seconds", "says"),
    [({}, "has no benchmarks"), ({A: 0}, "which no work takes"), ({A: None}, "it has no median")],
)
def test_figures_that_are_no_times_are_invalid_and_never_saved(
    gate: Gate, project: Project, seconds: Mapping[str, object], says: str
) -> None:
    project.put("tree", seconds)
    done = gate("--baseline", "base.json")
    assert (done.exit_code, says in done.stdout) == (5, True)
    assert not Path("base.json").exists()


def test_a_file_of_another_kind_is_not_overwritten(gate: Gate) -> None:
    Path("base.json").write_text("{}")
    done = gate("--baseline", "base.json")
    assert done.exit_code == 2
    assert Path("base.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "xml"], "unknown format 'xml'"),
        (["--against", "HEAD", "--baseline", "base.json"], "a revision or a file, not both"),
        (["--save", "a.json", "--budget", "30m"], "--budget is for a revision"),
        (["--rounds", "0"], "--rounds 0 is nothing to measure"),
        (["--rounds", "3", "--against", "../baseline"], "3 rounds cannot show a regression"),
        (["--rounds", "3", "--save", "a.json"], "3 rounds cannot show a regression"),
        (["--save", "no/folder/a.json"], "there is no such folder"),
        (["--budget", "soon"], "--budget soon"),
        (["--against", "no-such-revision"], "neither a folder nor a revision"),
        (["--against", "../baseline", "--python", "/no/python"], "there is no program '/no/python'"),
        (["--against", "../baseline", "--benchmarks", "../bench"], "is not in"),
        (["--against", "../baseline", "--benchmarks", "/bench"], "is not in"),
        (["--real"], "--real needs --self-test"),
        (["--history", "--against", "HEAD"], "--history measures nothing"),
        (["--history", "--self-test"], "--history measures nothing"),
    ],
)
def test_bad_input_ends_with_exit_code_2(
    gate: Gate, project: Project, arguments: list[str], message: str
) -> None:
    done = gate(*arguments)
    assert (done.exit_code, message in done.stderr) == (2, True), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_benchmarks_may_be_given_by_their_full_path(gate: Gate, project: Project, asked: Asked) -> None:
    for path in (str(Path.cwd() / "bench"), "./bench/"):
        assert gate("--against", "../baseline", "--benchmarks", path).exit_code == 0
        assert asked.questions[-1].suite.paths == ("bench",)


def test_a_set_up_builds_both_versions(gate: Gate, project: Project, asked: Asked) -> None:
    assert gate("--against", "../baseline", "--setup", "echo built > made.txt").exit_code == 0
    for one in asked.questions[-1].versions:
        assert (one.folder / "made.txt").read_text() == "built\n"
        assert one.built
    assert not (project.folder / "tree/made.txt").exists()


@pytest.mark.parametrize(
    ("detected", "false", "invalid", "code"),
    [(4, 0, 0, 0), (3, 0, 0, 1), (4, 1, 0, 1), (4, 0, 1, 5), (3, 0, 1, 5), (2, 0, 1, 1)],
)
def test_the_self_test_prints_both_figures(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, detected: int, false: int, invalid: int, code: int
) -> None:
    suites = []

    def answer(suite: object, *_: object, **__: object) -> SelfTest:
        suites.append(suite)
        results = {"": result_of((), "noise")}
        return SelfTest(planted=4, detected=detected, false=false, gates=5, invalid=invalid, results=results)

    monkeypatch.setattr(gating, "self_test", answer)
    done = gate("--self-test")
    assert done.exit_code == code
    assert done.stdout.splitlines() == [
        f"planted slow-downs of 2 × the margin: {detected} of 4 detected",
        f"false alarms: {false} in 5 gates; {invalid} gates were invalid",
    ]
    data = json.loads(gate("--self-test", "--real", "--json").stdout)
    assert (data["detected"], data["results"][""]["verdict"]) == (detected, "invalid")
    assert suites[0] is None
    assert suites[1] is not None


def test_a_full_disk_keeps_the_baseline(
    gate: Gate, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_figures(Path("base.json"), figures())
    before = Path("base.json").read_bytes()
    monkeypatch.setattr(gating, "measure_figures", lambda *_, **__: figures(0.9))

    def full(path: Path, *_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    done = gate("--baseline", "base.json", "--save", "base.json")
    assert (done.exit_code, "cannot write: No space left on device" in done.stderr) == (2, True)
    assert Path("base.json").read_bytes() == before


def test_a_hook_of_git_does_not_choose_the_repository(
    gate: Gate, project: Project, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(project.folder / "tree")
    project.put("tree", {A: 3})
    run_git(project.folder, "init", "--quiet", "other")
    monkeypatch.setenv("GIT_DIR", str(project.folder / "other/.git"))
    assert gate().exit_code == 0
    assert asked.baseline == {A: 0.01, B: 0.02}
