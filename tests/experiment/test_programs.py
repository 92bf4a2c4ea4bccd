"""Whether a study may run programs, and where their files are stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ChangedError, InputError
from harness.experiment.programs import check_programs_allowed, settings_file, store_programs
from harness.study.loaded import LoadedStudy
from tests.support.program_study import loaded_program
from tests.support.tiny_study import loaded


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own configuration, which does not exist."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "config" / "transformer-harness" / "config.toml"
    file.parent.mkdir(parents=True)
    assert settings_file() == file
    return file


@pytest.fixture
def study(tmp_path: Path) -> LoadedStudy:
    return loaded_program(tmp_path / "project")


def test_a_study_that_runs_a_program_is_refused(study: LoadedStudy, settings: Path) -> None:
    with pytest.raises(InputError) as raised:
        check_programs_allowed([study], allowed=False)
    assert str(raised.value) == (
        f"{study.path}: this study runs a program of its own: sh train.sh {{warmup}} {{seed}}; if you trust "
        f"it, use --allow-commands, or write `allow_commands = true` into {settings}"
    )
    check_programs_allowed([study], allowed=True)


def test_any_other_study_needs_no_permission(tmp_path: Path, study: LoadedStudy, settings: Path) -> None:
    settings.write_text("wrong")
    check_programs_allowed([loaded(tmp_path)], allowed=False)
    with pytest.raises(InputError):
        check_programs_allowed([loaded(tmp_path), study], allowed=False)


def test_the_user_allows_programs_in_a_file(study: LoadedStudy, settings: Path) -> None:
    settings.write_text("allow_commands = true\n")
    check_programs_allowed([study], allowed=False)
    for text in ("allow_commands = false\n", ""):
        settings.write_text(text)
        with pytest.raises(InputError, match="this study runs a program"):
            check_programs_allowed([study], allowed=False)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"allow_commands", "the configuration cannot be read: "),
        (b"\xff", "the configuration cannot be read: "),
        (b'allow_commands = "yes"', "allow_commands must be true or false"),
        (b"allow_commands = 1", "allow_commands must be true or false"),
        (b"allow_command = true", "unknown setting 'allow_command'; did you mean 'allow_commands'?"),
    ],
)
def test_a_wrong_file_is_named(study: LoadedStudy, settings: Path, text: bytes, error: str) -> None:
    settings.write_bytes(text)
    with pytest.raises(InputError) as raised:
        check_programs_allowed([study], allowed=False)
    assert str(raised.value).startswith(f"{settings}: {error}")
    check_programs_allowed([study], allowed=True)


def test_a_folder_instead_of_a_file_is_named(study: LoadedStudy, settings: Path) -> None:
    settings.mkdir()
    with pytest.raises(InputError, match=r"config\.toml: the configuration cannot be read"):
        check_programs_allowed([study], allowed=False)


def test_the_files_of_programs_lie_beside_the_results(tmp_path: Path, study: LoadedStudy) -> None:
    store_programs([study, loaded(tmp_path)], tmp_path / "results")
    [digest] = study.programs
    assert [path.name for path in (tmp_path / "results" / "sources").iterdir()] == [digest]
    (study.programs[digest].folder / "train.sh").write_text("exit 1\n")
    store_programs([study], tmp_path / "results")  # what was stored stays as it is
    with pytest.raises(ChangedError):
        store_programs([study], tmp_path / "other results")
