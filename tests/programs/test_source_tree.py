"""The files of a program: which they are, their digest, and their copies."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ChangedError, InputError
from harness.programs import source_tree
from harness.programs.source_tree import ALL_FILES, SourceTree, sources_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A program of a few files, beside the folders that the harness uses."""
    folder = tmp_path / "program"
    for name, text in {
        "train.py": "print(1)\n",
        "lib/net.py": "x = 1\n",
        "data/small/a.txt": "a\n",
        "studies/mine.yaml": "study: mine\n",
        "results/harness.db": "rows",
        "reports/mine.html": "page",
        ".env": "TOKEN=secret\n",
        "lib/__pycache__/net.pyc": "compiled",
    }.items():
        write(folder / name, text)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return folder


SOURCES = ("data/small/a.txt", "lib/net.py", "run.sh", "train.py")


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def test_without_git_hidden_files_caches_and_results_are_left_out(folder: Path) -> None:
    assert SourceTree.read(folder).files == SOURCES


def test_with_git_its_files_and_those_that_it_would_track(folder: Path) -> None:
    write(folder / ".gitignore", "data/\n")
    write(folder / ".hidden", "tracked\n")
    write(folder / "results/table.csv", "tracked\n")
    write(folder / "gone.py", "")
    git(folder, "init", "-q")
    git(folder, "add", "-f", "train.py", ".hidden", "results/table.csv", "gone.py")
    (folder / "gone.py").unlink()
    assert SourceTree.read(folder).files == (
        ".hidden",
        "lib/net.py",
        "results/table.csv",
        "run.sh",
        "train.py",
    )
    assert SourceTree.read(folder / "lib").files == ("net.py",)


def test_a_folder_that_git_ignores_is_read_without_git(folder: Path) -> None:
    git(folder, "init", "-q")
    write(folder / ".gitignore", "data/\n")
    assert SourceTree.read(folder / "data").files == ("small/a.txt",)


def test_git_runs_nothing_of_a_repository_and_obeys_no_variables(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a hook of Git, which names a repository, and in a repository that somebody else made."""
    git(folder, "init", "-q")
    write(folder / ".gitignore", "data/\n")
    monitor = tmp_path / "monitor"
    write(monitor, f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    monitor.chmod(0o755)
    git(folder, "config", "core.fsmonitor", str(monitor))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert SourceTree.read(folder).files == SOURCES[1:]
    assert not (tmp_path / "ran").exists()


def test_without_the_program_git_everything_is_walked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(folder, "init", "-q")
    write(folder / ".gitignore", "data/\n")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert SourceTree.read(folder).files == SOURCES


def test_patterns_choose_files(folder: Path) -> None:
    assert SourceTree.read(folder, ["*.py"]).files == ("lib/net.py", "train.py")
    assert SourceTree.read(folder, ["data/*", "train.py"]).files == ("data/small/a.txt", "train.py")
    with pytest.raises(InputError, match=r"no file in .* matches 'trian.py'; did you mean 'train.py'"):
        SourceTree.read(folder, ["*.py", "trian.py"])


def test_all_files_on_request(folder: Path) -> None:
    git(folder, "init", "-q")
    write(folder / ".gitignore", "data/\n")
    assert {".env", "data/small/a.txt", "lib/__pycache__/net.pyc"} < set(
        SourceTree.read(folder, [ALL_FILES]).files
    )


def test_a_folder_without_files_or_that_is_none(tmp_path: Path) -> None:
    for folder, error in ((tmp_path, "has no files"), (tmp_path / "none", "there is no folder")):
        with pytest.raises(InputError, match=error):
            SourceTree.read(folder)


def test_limits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_tree, "MOST_FILES", 3)
    with pytest.raises(InputError, match="has 4 files, more than 3; choose the files"):
        SourceTree.read(folder)
    assert len(SourceTree.read(folder, ["*.py"]).files) == 2
    monkeypatch.setattr(source_tree, "MOST_FILES", 4)
    monkeypatch.setattr(source_tree, "MOST_BYTES", 2**20)
    write(folder / "train.py", "x" * 2**20)
    with pytest.raises(InputError, match="have more than 1 MiB"):
        SourceTree.read(folder)


def test_what_is_neither_a_file_nor_a_link(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(InputError, match="pipe is neither a file nor a link"):
        SourceTree.read(folder)


CHANGES: dict[str, Callable[[Path], Any]] = {
    "content": lambda folder: (folder / "train.py").write_text("print(2)\n"),
    "name": lambda folder: (folder / "train.py").rename(folder / "trial.py"),
    "folder": lambda folder: (folder / "lib").rename(folder / "lib2"),
    "mode": lambda folder: (folder / "train.py").chmod(0o755),
    "another file": lambda folder: write(folder / "more.py", ""),
    "a removed file": lambda folder: (folder / "train.py").unlink(),
    "a link": lambda folder: (folder / "link").symlink_to("train.py"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_digest_changes(folder: Path, change: str) -> None:
    before = SourceTree.read(folder)
    CHANGES[change](folder)
    assert SourceTree.read(folder).digest != before.digest


def test_the_digest_of_a_link_is_its_target(folder: Path) -> None:
    (folder / "link").symlink_to("train.py")
    before = SourceTree.read(folder).digest
    (folder / "link").unlink()
    (folder / "link").symlink_to("run.sh")
    linked = SourceTree.read(folder).digest
    (folder / "link").unlink()
    shutil.copy(folder / "run.sh", folder / "link")
    assert len({before, linked, SourceTree.read(folder).digest}) == 3


def test_the_digest_does_not_change(folder: Path, tmp_path: Path) -> None:
    """With another folder, another order of making, other times, other permissions for others, or with
    anything that is no file of the program.
    """
    before = SourceTree.read(folder)
    other = tmp_path / "other"
    for name in reversed(SOURCES):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / name, other / name)
        os.utime(other / name, (1, 1))
    (other / "train.py").chmod(0o600)
    write(other / "results/harness.db", "other rows")
    write(other / "studies/mine.yaml", "study: other\n")
    assert SourceTree.read(other).digest == before.digest


def test_two_files_are_not_one_with_the_content_of_both(tmp_path: Path) -> None:
    """Names and contents cannot be taken for each other."""
    digests = set()
    for index, files in enumerate(({"a": "", "b": ""}, {"a": "1 b file 0\n"}, {"a\n1 b file 0": ""})):
        for name, text in files.items():
            write(tmp_path / str(index) / name, text)
        digests.add(SourceTree.read(tmp_path / str(index)).digest)
    assert len(digests) == 3


def test_odd_names_are_kept(tmp_path: Path) -> None:
    names = ["a b.py", "line\nend.py", 'quote".py', "-n", "*.py", "é.py", os.fsdecode(b"\xff.py")]
    for in_git in (False, True):
        folder = tmp_path / str(in_git)
        for name in names:
            write(folder / name, name.encode("utf-8", "surrogateescape").hex())
        if in_git:
            git(folder, "init", "-q")
        tree = SourceTree.read(folder)
        assert sorted(tree.files) == sorted(names)
        stored = tree.store(tmp_path / "sources")
        assert sorted(path.name for path in stored.iterdir()) == sorted(names)
        assert (stored / names[-1]).read_text() == "ff2e7079"


def test_a_copy_has_contents_links_and_executable_bits(folder: Path, tmp_path: Path) -> None:
    (folder / "link").symlink_to("train.py")
    (folder / "linked").symlink_to("lib")
    (folder / "data/out").symlink_to("/nonexistent/large")
    tree = SourceTree.read(folder)
    stored = tree.store(sources_in(tmp_path / "results"))
    assert stored == tmp_path / "results" / "sources" / tree.digest
    assert SourceTree.read(stored).digest == tree.digest
    assert os.access(stored / "run.sh", os.X_OK)
    assert not os.access(stored / "train.py", os.X_OK)
    assert (stored / "linked").readlink() == Path("lib")
    assert (stored / "linked/net.py").read_text() == "x = 1\n"
    assert tree.store(sources_in(tmp_path / "results")) == stored


@pytest.mark.parametrize(
    ("link", "target", "error"),
    [
        ("link", "../elsewhere", "leads to out of the folder"),
        ("lib/link", "../../elsewhere", "leads to out of the folder"),
        ("lib/link", "../../program2/x", "leads to out of the folder"),
    ],
)
def test_a_link_that_a_copy_could_not_follow(folder: Path, link: str, target: str, error: str) -> None:
    (folder / link).symlink_to(target)
    with pytest.raises(InputError, match=error):
        SourceTree.read(folder)
    assert SourceTree.read(folder, ["*.py"]).files == ("lib/net.py", "train.py")


def test_an_absolute_link_into_the_folder_would_show_later_changes(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "train.py")
    with pytest.raises(InputError, match="link leads to an absolute path inside of the folder"):
        SourceTree.read(folder)


@pytest.mark.parametrize("change", ["content", "mode", "a removed file", "folder", "name"])
def test_files_that_change_between_reading_and_storing(folder: Path, tmp_path: Path, change: str) -> None:
    tree = SourceTree.read(folder)
    CHANGES[change](folder)
    with pytest.raises(ChangedError, match=r"changed while they were read|was removed meanwhile"):
        tree.store(tmp_path / "sources")
    assert list((tmp_path / "sources").iterdir()) == []


def test_a_folder_where_nothing_can_be_copied_to(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "sources", "a file")
    with pytest.raises(InputError, match=r"the files of .* cannot be copied: "):
        SourceTree.read(folder).store(tmp_path / "sources")


def test_another_process_may_be_faster(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = SourceTree.read(folder)
    copy = SourceTree._copy

    def slow(self: SourceTree, target: Path) -> None:
        monkeypatch.setattr(SourceTree, "_copy", copy)
        tree.store(tmp_path / "sources")
        copy(self, target)

    monkeypatch.setattr(SourceTree, "_copy", slow)
    stored = tree.store(tmp_path / "sources")
    assert list((tmp_path / "sources").iterdir()) == [stored]
    assert SourceTree.read(stored).digest == tree.digest


@pytest.mark.parametrize("change", ["content", "a removed file", "another file"])
def test_a_copy_that_was_changed_is_not_used(folder: Path, tmp_path: Path, change: str) -> None:
    tree = SourceTree.read(folder)
    stored = tree.store(tmp_path / "sources")
    CHANGES[change](stored)
    with pytest.raises(InputError, match=r"remove it, so that it is made again|cannot be read"):
        tree.store(tmp_path / "sources")


def test_programs_of_a_tree(folder: Path) -> None:
    (folder / "linked").symlink_to("lib")
    write(folder / "lib/tool", "#!/bin/sh\n")
    (folder / "lib/tool").chmod(0o755)
    write(folder / "results/made", "#!/bin/sh\n")
    (folder / "results/made").chmod(0o755)
    tree = SourceTree.read(folder)
    assert tree.has_program("run.sh")
    assert tree.has_program("./lib/../run.sh")
    assert tree.has_program("linked/tool")
    for name in ("train.py", "./none", "../program/run.sh", "lib", "results/made"):
        assert not tree.has_program(name)
