"""What may change while a run goes on, and what may not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import ChangedError
from harness.machine.code_digest import code_digests
from harness.run.source_watch import SourceWatch, files_of
from tests.support.tiny_study import loaded


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "tasks").mkdir(parents=True)
    (folder / "report").mkdir()
    (folder / "tasks" / "generate.py").write_text("cache = 1\n")
    (folder / "report" / "page.py").write_text("title = 1\n")
    return folder


def watch(package: Path, *files: Path) -> SourceWatch:
    return SourceWatch(code_digests(package).measuring, files, package)


def test_what_measures_may_not_change(package: Path) -> None:
    watched = watch(package)
    watched.check()
    (package / "tasks" / "generate.py").write_text("cache = 2\n")
    with pytest.raises(ChangedError, match="the code that measures changed during the run") as caught:
        watched.check()
    assert caught.value.exit_code == 4


def test_a_new_module_is_a_change_as_well(package: Path) -> None:
    watched = watch(package)
    (package / "tasks" / "plugged_in.py").write_text("cache = 3\n")
    with pytest.raises(ChangedError):
        watched.check()


def test_what_judges_may_change_and_so_may_the_time_of_a_file(package: Path) -> None:
    watched = watch(package)
    (package / "report" / "page.py").write_text("title = 2\n")
    os.utime(package / "tasks" / "generate.py", (1, 1))
    watched.check()
    (package / "tasks" / "generate.py").write_text("cache = 2\n")
    with pytest.raises(ChangedError):
        watched.check()


def test_a_recipe_or_a_text_may_not_change_but_it_may_be_written_again(package: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("a b c")
    watched = watch(package, text, tmp_path / "missing.txt")
    text.unlink()
    text.write_text("a b c")
    watched.check()
    text.write_text("a b d")
    with pytest.raises(ChangedError, match=r"notes.txt changed during the run"):
        watched.check()
    text.unlink()
    with pytest.raises(ChangedError):
        watched.check()


def test_the_files_of_a_study_are_its_recipes(tmp_path: Path) -> None:
    assert [path.name for path in files_of(loaded(tmp_path))] == ["small.yaml"]
