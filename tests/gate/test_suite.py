"""How a suite is run in two versions: the words, the variables, and what belongs to a version."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from harness.errors import InputError, InvalidError
from harness.experiment.loading import load
from harness.experiment.workspace import Workspace
from harness.gate.benchmarks import Benchmark
from harness.gate.suite import (
    SIDE,
    Suite,
    gate_study,
    list_suite,
    metric_names,
    plain_word,
    reference_name,
    stored,
    suite_python,
)
from harness.programs.command_line import filled
from harness.programs.versions import Version
from harness.study.written import study_text
from tests.gate.fake_suite import A, B, Project, commit


def benchmark(name: str, margin: float | None = None) -> Benchmark:
    return Benchmark(name=name, median=0.1, margin=margin, problem="")


def test_both_versions_get_equally_long_variables_and_the_same_words(project: Project) -> None:
    versions = project.version("baseline"), project.version("tree")
    suite = Suite(paths=("bench/{x}",), python="/a/{python}")
    document = gate_study("gate_1", suite, versions, [benchmark(A, margin=0.2), benchmark(B)], 8)
    arms = [next(iter(arm.values())) for arm in document["compare"]["version"]]
    sides = [arm["environment"][SIDE] for arm in arms]
    assert len(set(sides)) == 2
    assert len({len(side) for side in sides}) == 1
    assert "/a/{{python}}" in document["base"]["command"]
    assert filled(document["base"]["command"][-1], {}) == "bench/{x}"
    assert document["margins"] == {"b001_test_a": 0.2}


def test_the_study_can_be_loaded_whatever_the_names_are(project: Project, tmp_path: Path) -> None:
    names = [f"bench/test_x.py::test_x[{text}]" for text in ("{seed}", "a: b", "'\"#", "\u2028é", "x::y", "")]
    versions = project.version("baseline"), project.version("tree")
    environments = {"PLANT": "{name}"}, {"PLANT": "}{"}
    document = gate_study("gate_1", project.suite, versions, list(map(benchmark, names)), 12, environments)
    path = tmp_path / "gate_1.yaml"
    path.write_text(study_text(document))
    experiment = load(
        path, scale="cpu", device="cpu", workspace=Workspace(results=tmp_path / "r"), allow_commands=True
    )
    (part,) = experiment.parts
    assert len(part.study.records) == 3 * len(names) + 1


def test_names_of_metrics_differ() -> None:
    names = metric_names([benchmark("a.py::test_x[1]"), benchmark("b.py::test_x[1]"), benchmark("é::É")])
    assert names == ["b001_test_x_1", "b002_test_x_1", "b003"]
    assert len(reference_name(metric_names([benchmark("x" * 400)])[0], "memory")) <= 60


def test_no_brace_of_a_plain_word_is_a_setting() -> None:
    assert filled(plain_word("{a}{{b}}{"), {}) == "{a}{{b}}{"


def test_a_stored_version_does_not_change(project: Project, tmp_path: Path) -> None:
    tree = stored(project.version("tree"), tmp_path / "sources")
    before = list_suite(project.suite, tree)
    project.put("tree", {A: 0.5})
    assert list_suite(project.suite, tree) == before
    assert before.benchmarks[A].median == pytest.approx(0.01, rel=0.01)
    assert stored(project.version("tree"), tmp_path / "sources").content != tree.content


def test_files_that_git_ignores_do_not_belong_to_a_version_and_new_ones_do(
    project: Project, tmp_path: Path
) -> None:
    folder = project.folder / "tree"
    (folder / ".gitignore").write_text("ignored\n")
    commit(folder)
    (folder / "ignored").write_text("")
    (folder / "new.py").write_text("")
    tree = stored(project.version("tree"), tmp_path / "sources")
    assert (tree.folder / "new.py").is_file()
    assert not (tree.folder / "ignored").exists()


def test_listing_leaves_nothing_in_the_version(project: Project) -> None:
    tree = project.version("tree")
    files = sorted(tree.folder.rglob("*"))
    assert set(list_suite(project.suite, tree).benchmarks) == {A, B}
    assert sorted(tree.folder.rglob("*")) == files


def test_a_version_without_the_paths_has_no_benchmarks(project: Project) -> None:
    for path in ("none", "bench/test_none.py::test_a"):
        assert list_suite(Suite(paths=(path,), python="/no/python"), project.version("tree")).benchmarks == {}


def test_an_empty_report_is_a_suite_without_benchmarks(project: Project) -> None:
    project.put("tree", {})
    assert list_suite(project.suite, project.version("tree")).benchmarks == {}


def test_a_suite_that_fails_says_how(project: Project) -> None:
    project.put("tree", {A: 0.1}, exit=2)
    with pytest.raises(InvalidError, match="the benchmarks of tree ended with exit code 2: 1 failed"):
        list_suite(project.suite, project.version("tree"))
    project.set_python(lacks_pytest=True)
    with pytest.raises(InputError, match="has no pytest-benchmark"):
        list_suite(project.suite, project.version("tree"))


def test_a_python_is_found_on_the_path_and_stays_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python-of-mine").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    assert suite_python("bin/python-of-mine") == str(tmp_path / "bin/python-of-mine")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert suite_python("python-of-mine") == str(tmp_path / "bin/python-of-mine")
    with pytest.raises(InputError, match="there is no program 'python-of-nobody'"):
        suite_python("python-of-nobody")


def test_real_benchmarks_are_listed_below_the_folder_of_the_project(tmp_path: Path) -> None:
    """Without a file of settings, pytest would name them from the folder of the benchmarks. The project is
    imported from the folder of its version, although Python was started elsewhere.
    """
    project = tmp_path / "project"
    (project / "bench").mkdir(parents=True)
    (project / "json_of_mine.py").write_text("STEP = 2\n")
    (project / "bench/test_x.py").write_text(
        "from json_of_mine import STEP\n"
        "def test_x(benchmark):\n"
        "    benchmark.extra_info['margin'] = 0.1 * STEP\n"
        "    benchmark.pedantic(sum, args=([1, 2],), rounds=2)\n"
        "def test_without_a_benchmark(): raise AssertionError\n"
    )
    commit(project)
    listed = list_suite(
        Suite(paths=("bench",)), Version(named="it", folder=project, revision=None, built=False)
    )
    (one,) = listed.benchmarks.values()
    assert (one.name, one.margin, one.problem) == ("bench/test_x.py::test_x", 0.2, "")
    assert math.isfinite(one.median)
    assert listed.code.keys() == {one.name}
