"""The digests of the code: which files they cover, and on which side a file falls."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.machine.code_digest import (
    PACKAGE,
    CodeDigests,
    code_digests,
    measuring_files,
    plugins_digest,
)
from harness.plugins import PLUGINS_VARIABLE, using
from tests.support.plugins import importable

FILES = {
    "__init__.py": "raise RuntimeError('a digest imports nothing')",
    "run/worker.py": "from harness.statistics import steady\nfrom harness.study.plan import plan",
    "models/kernel.py": "x = 1",
    "statistics/__init__.py": (
        "from harness.statistics.paired import interval\nfrom harness.statistics.steady import steady"
    ),
    "statistics/paired.py": "def interval(): ...",
    "statistics/steady.py": "from harness.statistics.series import spread\n\ndef steady(): ...",
    "statistics/series.py": "def spread(): ...",
    "study/plan.py": "def plan(): ...",
    "study/load.py": "import harness.study.plan",
    "report/build.py": "import harness.analysis.frames",
    "report/templates/page.html": "<p>",
    "analysis/frames.py": "",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        write(tmp_path / "harness" / name, text)
    return tmp_path / "harness"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def changes(package: Path, before: CodeDigests) -> tuple[bool, bool]:
    """Whether the measuring digest has changed, and whether the judging digest has."""
    after = code_digests(package)
    return after.measuring != before.measuring, after.judging != before.judging


def test_the_studies_that_ship_are_no_code_whether_they_are_a_folder_or_a_link(package: Path) -> None:
    before = code_digests(package)
    write(package / "studies" / "kv_cache.yaml", "study: kv_cache")
    assert changes(package, before) == (False, False)
    shutil.rmtree(package / "studies")
    (package / "studies").symlink_to("../studies")
    assert not (package / "studies").exists()
    assert changes(package, before) == (False, False)
    write(package / "run" / "studies" / "kernel.py", "x = 1")
    assert changes(package, before) == (True, True)


@pytest.mark.parametrize(
    "name",
    ["run/worker.py", "models/kernel.py", "study/plan.py", "statistics/steady.py", "statistics/series.py"],
)
def test_an_edit_of_what_a_measurement_uses_changes_both_digests(package: Path, name: str) -> None:
    before = code_digests(package)
    (package / name).write_text(FILES[name] + " ")
    assert changes(package, before) == (True, True)


@pytest.mark.parametrize(
    "name",
    [
        "__init__.py",
        "report/build.py",
        "report/templates/page.html",
        "analysis/frames.py",
        "study/load.py",
        "statistics/paired.py",
    ],
)
def test_an_edit_of_what_only_judges_changes_the_judging_digest_alone(package: Path, name: str) -> None:
    before = code_digests(package)
    (package / name).write_text(FILES[name] + " ")
    assert changes(package, before) == (False, True)


@pytest.mark.parametrize("name", ["physics/gravity.py", "helpers.py", "run/settings.json", "models/moe.py"])
def test_a_new_file_counts_as_measuring_wherever_it_is_not_known_to_judge(package: Path, name: str) -> None:
    before = code_digests(package)
    write(package / name, "")
    assert changes(package, before) == (True, True)


@pytest.mark.parametrize(
    "statement",
    [
        "from harness.analysis.frames import frame",
        "from harness.analysis import frames",
        "from harness.analysis import (  # a closing bracket ) in a comment\n    other,\n    frames,\n)",
        "from harness.analysis import other, \\\n    frames",
        "def later():\n    import harness.analysis.frames as f",
        "importlib.import_module('harness.analysis.frames')",
        'TASK = "harness.analysis.frames:Frames"',
    ],
)
def test_a_judging_file_that_a_measurement_imports_is_measuring(package: Path, statement: str) -> None:
    assert "analysis/frames.py" not in measuring_files(package)
    write(package / "tasks" / "generate.py", statement)
    assert "analysis/frames.py" in measuring_files(package)


def test_what_is_imported_by_a_computed_name_may_be_any_file_of_the_folder(package: Path) -> None:
    write(package / "study" / "claims" / "ratio.py", "")
    write(package / "study" / "claims" / "__init__.py", "import_module(f'{__name__}.{form}')")
    assert "study/claims/ratio.py" not in measuring_files(package)
    write(package / "study" / "plan.py", "import harness.study.claims")
    assert "study/claims/ratio.py" in measuring_files(package)


def test_added_moved_and_removed_files_change_it(package: Path) -> None:
    digests = {code_digests(package).judging}
    write(package / "report" / "note.txt", "select 1")
    digests.add(code_digests(package).judging)
    (package / "report" / "note.txt").rename(package / "report" / "templates" / "note.txt")
    digests.add(code_digests(package).judging)
    (package / "report" / "build.py").unlink()
    digests.add(code_digests(package).judging)
    assert len(digests) == 4


def test_content_cannot_move_between_files_unseen(package: Path) -> None:
    write(package / "run" / "a.txt", "one")
    write(package / "run" / "b.txt", "two")
    before = code_digests(package)
    write(package / "run" / "a.txt", "onetwo")
    write(package / "run" / "b.txt", "")
    assert changes(package, before) == (True, True)


def test_caches_and_leftovers_do_not_count(package: Path) -> None:
    before = code_digests(package)
    write(package / "run" / "__pycache__" / "code.py", "")
    for leftover in ("old.pyc", "code.py~", ".code.py.swp", ".hidden/code.py"):
        write(package / "run" / leftover, "")
    assert changes(package, before) == (False, False)


def test_a_copy_elsewhere_and_a_linked_folder_have_the_same_digests(package: Path, tmp_path: Path) -> None:
    shutil.copytree(package, tmp_path / "elsewhere" / "harness")
    shutil.move(tmp_path / "elsewhere" / "harness" / "models", tmp_path / "elsewhere" / "models")
    (tmp_path / "elsewhere" / "harness" / "models").symlink_to("../models")
    assert code_digests(tmp_path / "elsewhere" / "harness") == code_digests(package)


def test_every_module_that_a_worker_can_import_is_measuring() -> None:
    """By an independent reading of the imports, and by the modules of a process that has imported them."""
    measuring = measuring_files()
    assert imports_of_workers() - measuring == set()
    program = (
        "import json, sys, harness.run.worker\n"
        f"for name in {sorted(imports_of_workers())!r}:\n"
        "    __import__('harness.' + name.removesuffix('.py').removesuffix('/__init__').replace('/', '.'))\n"
        "modules = [module for name, module in sys.modules.items() if name.startswith('harness.')]\n"
        "print(json.dumps([module.__file__ for module in modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {Path(file).relative_to(PACKAGE).as_posix() for file in json.loads(done.stdout)}
    assert "models/transformer.py" in loaded
    assert {name for name in loaded - measuring if not name.startswith("statistics/")} == set()


def test_reports_verdicts_and_commands_are_not_measuring() -> None:
    rooms = {name.partition("/")[0] for name in measuring_files()}
    assert {"analysis", "calibrate", "cli", "experiment", "report", "verify"} & rooms == set()
    assert rooms >= {"invariants", "models", "run", "tasks", "training"}


def imports_of_workers() -> set[str]:
    """All files of the package that a worker can import, read from the syntax trees.

    Tasks and invariants are added, because a worker may look for them by name. The package of the statistics
    passes all its files on: only those are followed that are imported by the name of their module.
    """
    by_name = (path for room in ("tasks", "invariants") for path in (PACKAGE / room).rglob("*.py"))
    reached = set[str]()
    pending = ["run/worker.py", *(path.relative_to(PACKAGE).as_posix() for path in by_name)]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += modules_named(ast.parse((PACKAGE / name).read_text()))
    return reached


def modules_named(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (file for alias in node.names for file in files_of(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module != "harness.statistics":
            yield from files_of(str(node.module))
            yield from (file for alias in node.names for file in files_of(f"{node.module}.{alias.name}"))


def files_of(module: str) -> Iterator[str]:
    path = module.removeprefix("harness.").replace(".", "/")
    for file in (f"{path}.py", f"{path}/__init__.py"):
        if module.startswith("harness.") and (PACKAGE / file).is_file():
            yield file


def test_every_file_of_the_package_of_a_plugin_counts_and_nothing_of_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PLUGINS_VARIABLE, raising=False)
    write(tmp_path / "plugged" / "__init__.py", "raise RuntimeError('a digest imports nothing')")
    write(tmp_path / "plugged" / "parts.py", "x = 1")
    write(tmp_path / "plugged" / "kernels" / "studies" / "kernel.cu", "//")
    without = code_digests()
    assert plugins_digest() == ""
    with importable(tmp_path), using(["plugged.parts"]):
        digests, alone = [code_digests()], [plugins_digest()]
        for name in ("__init__.py", "kernels/studies/kernel.cu", "new.py"):
            write(tmp_path / "plugged" / name, f"# {name}")
            digests.append(code_digests())
            alone.append(plugins_digest())
        write(tmp_path / "plugged" / "__pycache__" / "parts.pyc", "compiled")
        assert code_digests() == digests[-1]
    assert code_digests() == without
    assert len({without.measuring, *(one.measuring for one in digests)}) == 5
    assert len({without.judging, *(one.judging for one in digests)}) == 5
    assert len({*alone}) == 4


def test_a_plugin_that_does_not_exist_changes_no_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PLUGINS_VARIABLE, raising=False)
    without = code_digests()
    with using(["no_such_module.parts"]):
        assert code_digests() == without
