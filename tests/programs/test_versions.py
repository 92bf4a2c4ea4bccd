"""Versions of a program: revisions and folders, each built once, and nothing of the user changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.programs.source_tree import ALL_FILES
from harness.programs.versions import Version, version
from tests.support.repository import git, repository, state

BUILD = "echo built >> log; cp train.py made.o"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    files = {"train.py": "print(1)\n", ".gitignore": "*.o\nlog\n", "part/one.py": "1\n"}
    return repository(tmp_path / "mine", {"one": files, "two": {"train.py": "print(2)\n"}})


def made(named: str, here: Path, setup: str | None = None) -> Version:
    return version(named, builds=here / "results" / "builds", setup=setup, here=here)


def built(here: Path) -> list[str]:
    """What lies among the builds, without locks."""
    builds = here / "results" / "builds"
    return sorted(path.name for path in builds.iterdir() if path.suffix != ".lock") if builds.exists() else []


def refused(named: str, here: Path, setup: str | None = None) -> str:
    with pytest.raises(InputError) as error:
        made(named, here, setup)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_revision_gets_a_folder_of_its_own(here: Path) -> None:
    before, one = state(here), made("one", here)
    assert (one.folder / "train.py").read_text() == "print(1)\n"
    assert (one.revision, one.built, one.patterns) == (git(here, "rev-parse", "one"), False, [])
    seconds = int(git(here, "show", "-s", "--format=%ct", "one"))
    assert one.committed == datetime.fromtimestamp(seconds, UTC)
    assert made("trunk~1", here).folder == one.folder != made("HEAD", here).folder
    assert state(here) == before
    assert git(here, "status", "--porcelain") == "?? results/"
    assert git(here, "worktree", "list").count("\n") == 0


def test_a_folder_without_a_setup_is_read_where_it_is(here: Path) -> None:
    read = made(".", here)
    assert (read.folder, read.revision, read.built) == (here / ".", None, False)
    assert read.committed is None
    assert read.content == made("two", here).content != made("one", here).content
    assert built(here) == sorted(made(name, here).folder.name for name in ("one", "two"))


@pytest.mark.parametrize("named", ["one", "."])
def test_a_version_is_built_once(here: Path, named: str) -> None:
    first, again = made(named, here, BUILD), made(named, here, BUILD)
    assert first == again
    assert (first.folder / "log").read_text() == "built\n"
    assert first.patterns == [ALL_FILES]
    assert not (here / "log").exists()
    assert made(named, here, f"{BUILD} ").folder != first.folder


def test_builds_do_not_see_each_other(here: Path) -> None:
    one, two = made("one", here, BUILD), made("two", here, BUILD)
    assert [(one_of_both.folder / "made.o").read_text() for one_of_both in (one, two)] == [
        "print(1)\n",
        "print(2)\n",
    ]


def test_a_changed_folder_is_built_anew(here: Path) -> None:
    before = made(".", here, BUILD)
    (here / "train.py").write_text("print(3)\n")
    after = made(".", here, BUILD)
    assert after.content != before.content
    assert (after.folder / "made.o").read_text() == "print(3)\n"


def test_a_version_from_below_the_root_is_what_lies_there(here: Path) -> None:
    below = version("one", builds=here / "results", setup=None, here=here / "part")
    assert sorted(path.name for path in below.folder.iterdir()) == ["one.py"]


@pytest.mark.parametrize(
    "named", ["nothing", "HEAD~7", "--upload-pack=touch x", "-h", "one:train.py", "a\0b"]
)
def test_a_name_that_is_nothing(here: Path, named: str) -> None:
    assert "neither a folder nor a revision" in refused(named, here) or "\0" in named
    assert built(here) == []


@pytest.mark.parametrize("named", ["", "  "])
def test_an_empty_name_is_not_the_working_folder(here: Path, named: str) -> None:
    assert refused(named, here).startswith("the name of a version is empty")


def test_a_name_that_is_a_folder_and_a_revision(here: Path) -> None:
    (here / "one").mkdir()
    (here / "one" / "x.py").write_text("")
    assert refused("one", here).endswith("write ./one for the folder, or refs/heads/one for a branch")
    assert made("./one", here).revision is None
    assert made("refs/tags/one", here).revision


def test_outside_of_a_repository_only_folders_are_versions(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_text("")
    assert made("a", tmp_path).folder == tmp_path / "a"
    assert "neither a folder nor a revision" in refused("HEAD", tmp_path)


def test_a_setup_that_fails_leaves_nothing(here: Path) -> None:
    line = refused("one", here, "for i in 1 2 3 4 5 6 7; do echo line $i; done; echo wrong >&2; exit 3")
    assert "the set-up of one ended with exit code 3: line 4 / line 5 / line 6 / line 7 / wrong" in line
    assert built(here) == []
    assert "was ended by SIGKILL: it printed nothing" in refused("one", here, "kill -9 $$")


def test_what_a_killed_process_left_of_a_build_is_made_anew(here: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.programs.versions import version;"
        "here = Path(sys.argv[1]);"
        "version('one', builds=here / 'results' / 'builds', setup=sys.argv[2], here=here)"
    )
    kill_the_builder = (
        "test -e ../killed || { touch ../killed; echo half > half; kill -9 $PPID; }; echo > full"
    )
    done = subprocess.run([sys.executable, "-c", code, str(here), kill_the_builder], check=False)
    assert done.returncode == -signal.SIGKILL
    assert any(name.endswith(".unfinished") for name in built(here))
    complete = made("one", here, kill_the_builder)
    assert (complete.folder / "full").exists()
    assert not (complete.folder / "half").exists()
    assert not any(name.endswith(".unfinished") for name in built(here))


def test_a_setup_ends_with_the_process_that_is_interrupted(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is ended with what it has started, and its folder is removed."""
    started: list[subprocess.Popen[bytes]] = []
    wait = subprocess.Popen.wait

    def interrupted(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if process.args == "cat ../pipe" and not started:
            started.append(process)
            raise KeyboardInterrupt
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    (here / "results" / "builds").mkdir(parents=True)
    os.mkfifo(here / "results" / "builds" / "pipe")
    with pytest.raises(KeyboardInterrupt):
        made("one", here, "cat ../pipe")
    assert started[0].returncode == -signal.SIGKILL
    assert built(here) == ["pipe"]


def test_a_hook_of_git_changes_nothing_in_the_repository(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git sets these variables for a hook. They would send a checkout into the repository of the user."""
    before = state(here)
    monkeypatch.setenv("GIT_DIR", str(here / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(here))
    monkeypatch.setenv("GIT_INDEX_FILE", str(here / ".git" / "index"))
    one = made("one", here, 'test -z "$GIT_DIR$GIT_INDEX_FILE"')
    assert (one.folder / "train.py").read_text() == "print(1)\n"
    monkeypatch.undo()
    assert (here / "train.py").read_text() == "print(2)\n"
    assert state(here) == before
    assert git(here, "status", "--porcelain") == "?? results/"


def test_without_git_a_revision_is_an_error(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "neither a folder nor a revision" in refused("one", here)
