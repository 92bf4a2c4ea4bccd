"""What the file of a study decides about its program."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import StudyError
from harness.programs.source_tree import SourceTree
from harness.study.load import StudyFile, load_study
from harness.study.loaded import LoadedStudy
from harness.study.program_settings import project_folder
from harness.tasks.command import Command
from tests.support.program_study import loaded_program, put_program

WARMUP = "warmup: 0}"


def sources(study: LoadedStudy) -> set[str]:
    return {task.source for task in study.tasks.values() if isinstance(task, Command)}


def test_the_folder_of_a_project() -> None:
    assert project_folder(Path("/a/studies/mine.yaml")) == Path("/a")
    assert project_folder(Path("/a/b/mine.yaml")) == Path("/a/b")


def test_a_study_has_the_files_and_the_outputs_of_its_program(tmp_path: Path) -> None:
    study = loaded_program(tmp_path)
    [task] = [task for (arm, _), task in study.tasks.items() if arm == "warmup=0"]
    assert isinstance(task, Command)
    assert (task.settings, task.source) == ({"warmup": 0}, SourceTree.read(tmp_path).digest)
    assert {name: output.kind for name, output in task.values.items()} == {
        "val_loss": "json-lines",
        "score": "pattern",
        "rate": "csv",
    }
    assert study.programs.keys() == {task.source}
    assert study.programs[task.source].files == ("train.sh",)


def test_the_study_and_its_results_do_not_belong_to_the_program(tmp_path: Path) -> None:
    before = sources(loaded_program(tmp_path))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "harness.db").write_text("")
    assert sources(loaded_program(tmp_path, ("Does warm-up help?", "Does it?"))) == before
    assert sources(loaded_program(tmp_path, script="exit 1\n")) != before


def test_another_folder_and_chosen_files(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("train.sh", "notes.txt"):
        (tmp_path / "inner" / name).write_text("")
    inner = loaded_program(tmp_path, (WARMUP, "warmup: 0, folder: inner}"))
    assert [tree.files for tree in inner.programs.values()] == [("notes.txt", "train.sh")]
    chosen = loaded_program(tmp_path, (WARMUP, 'warmup: 0, folder: inner, files: ["*.sh"]}'))
    assert [tree.files for tree in chosen.programs.values()] == [("train.sh",)]
    absolute = loaded_program(tmp_path, (WARMUP, f"warmup: 0, folder: {tmp_path / 'inner'}}}"))
    assert sources(absolute) == sources(inner)


def test_the_home_of_the_user_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "train.sh").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    study = loaded_program(tmp_path, (WARMUP, 'warmup: 0, folder: "~"}'))
    assert [tree.folder for tree in study.programs.values()] == [tmp_path / "home"]


def test_two_versions_are_two_arms(tmp_path: Path) -> None:
    for version in ("a", "b"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "train.sh").write_text(version)
    levels = '[{"old": {folder: a}}, {"new": {folder: b}}]'
    study = loaded_program(
        tmp_path,
        ("compare: {warmup: [0, 1000]}", f"compare: {{version: {levels}}}"),
        ("level: {warmup: 1000}, direction", "level: {version: new}, direction"),
        ("level: {warmup: 1000}, metric", "level: {version: new}, metric"),
    )
    assert len(sources(study)) == 2
    assert study.programs.keys() == sources(study)


def test_each_part_has_only_its_own_files(tmp_path: Path) -> None:
    file = put_program(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "train.sh").write_text("")
    text = file.read_text() + "parts:\n  one: {}\n  two: {claims: {}, base: {folder: other}}\n"
    head, claims = text.split("claims:\n", 1)
    claims, parts = claims.split("parts:\n", 1)
    file.write_text(head + "parts:\n" + parts.replace("one: {}", "one: {base: {folder: .}}"))
    first, second = load_study(file)
    assert first.programs.keys() == sources(first)
    assert second.programs.keys() == sources(second)
    assert first.programs.keys() != second.programs.keys()


def test_files_are_read_once_for_all_scales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    read = SourceTree.read

    def counted(folder: Path, patterns: list[str]) -> SourceTree:
        reads.append(folder)
        return read(folder, patterns)

    monkeypatch.setattr(SourceTree, "read", counted)
    file = put_program(tmp_path)
    file.write_text(f"{file.read_text()}scales:\n  smoke: {{design: {{exploratory: true}}}}\n")
    loaded = StudyFile(file)
    loaded.load("smoke")
    loaded.load()
    assert len(reads) == 1


REFUSED = [
    ((WARMUP, "warmup: 0, source: abc}"), "4:66: source is no setting; `folder` names the files"),
    ((WARMUP, "warmup: 0, values: {}}"), "values is no setting"),
    ((WARMUP, "warmup: 0, folder: none}"), "there is no folder"),
    ((WARMUP, "warmup: 0, folder: 3}"), "folder must be the path of a folder"),
    ((WARMUP, "warmup: 0, files: train.sh}"), 'files must be a list of patterns, for example ["*.py"]'),
    ((WARMUP, 'warmup: 0, files: ["*.py"]}'), "matches '*.py'; known: train.sh"),
    ((WARMUP, "warmup: 0, lr: 1}"), "the command does not use the setting 'lr'"),
    (("{warmup}", "{warmpu}"), "there is no setting 'warmpu' for {warmpu}; did you mean 'warmup'?"),
    (("{warmup}", "{warmup"), "the brace of '{warmup' belongs to no setting"),
    (('"{seed}"', "x"), "the program is not given its seed, so several seeds would be the same run"),
    (("[sh, train.sh", "[./train.sh"), "./train.sh is not a program among the files; is it executable?"),
    (("[sh, train.sh", "[../train.sh"), "../train.sh is not a program among the files"),
    (("warmup: [0, 1000]", "warmup: [0, 1000, 1000]"), "is listed twice"),
    (("command: [sh,", "command: [3,"), "command.0: expected text, found 3"),
]


@pytest.mark.parametrize(("patch", "error"), REFUSED, ids=[error for _, error in REFUSED])
def test_what_is_refused_at_its_line(tmp_path: Path, patch: tuple[str, str], error: str) -> None:
    with pytest.raises(StudyError) as raised:
        loaded_program(tmp_path, patch)
    assert error in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path}/studies/mine.yaml:")
    assert raised.value.at is not None
    assert raised.value.at.line in (4, 5)


def test_arms_that_give_a_program_the_same_words(tmp_path: Path) -> None:
    levels = '[{"a": {x: 1, y: 11}}, {"b": {x: 11, y: 1}}]'
    with pytest.raises(StudyError, match="gives the same settings as the baseline"):
        loaded_program(
            tmp_path,
            ('"{warmup}"', '"{x}{y}"'),
            (", warmup: 0}", "}"),
            ("compare: {warmup: [0, 1000]}", f"compare: {{pair: {levels}}}"),
            ("level: {warmup: 1000}, direction", "level: {pair: b}, direction"),
            ("level: {warmup: 1000}, metric", "level: {pair: b}, metric"),
        )


def test_a_program_of_the_source_is_found_when_it_can_be_executed(tmp_path: Path) -> None:
    put_program(tmp_path)
    tool = tmp_path / "tool.sh"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert loaded_program(tmp_path, ("[sh, train.sh", "[./tool.sh")).programs
