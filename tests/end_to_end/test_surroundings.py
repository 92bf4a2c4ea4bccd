"""Commands where something is odd: the working folder, the home of the user, the folder of the reports."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from harness.cli.app import main
from tests.end_to_end.conftest import BaseRun
from tests.end_to_end.workplace import Workplace
from tests.support.commands import forked

AT_SCALE = ("tiny", "--scale", "smoke")


def test_a_folder_whose_name_is_not_utf_8(base_run: BaseRun, tmp_path: Path) -> None:
    here = os.fsencode(tmp_path) + b"/caf\xe9\x1b[31m"
    shutil.copytree(base_run.workplace.folder, os.fsdecode(here))
    variables = {"HARNESS_CACHE": str(base_run.workplace.cache)}
    study = os.fsdecode(here) + "/studies/tiny.yaml"
    for command in (
        ("report", study, "--scale", "smoke", "--results", os.fsdecode(here) + "/results"),
        ("verify", os.fsdecode(here) + "/reports/tiny.smoke.html"),
        ("plan", study, "--scale", "smoke"),
        ("list",),
        ("claims",),
    ):
        done = forked(command, folder=here, variables=variables)
        assert (done.code, b"fault of the harness" in done.err) == (0, False), done
        assert b"\x1b" not in done.out + done.err
    missing = forked(("plan", os.fsdecode(here) + "/none"), folder=here, variables=variables)
    assert (missing.code, b"caf\\udce9\\x1b[31m/none" in missing.err) == (2, True)


def test_a_container_whose_user_has_no_home_and_no_name(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "HARNESS_CACHE", "XDG_CACHE_HOME", "USER", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    for command in (("plan", "tiny"), ("list",), ("data", "list"), ("data", "fetch", "python-docs")):
        assert forked(command, folder=workplace.folder).code == 0
    for arguments in (
        ("list", "--results", "~/results"),
        ("list", "--store", "~/harness.db"),
        ("plan", "~/tiny"),
    ):
        done = forked(arguments, folder=workplace.folder)
        assert (done.code, done.err.count(b"\n")) == (2, 1)
        assert b"the home that ~ stands for is unknown; give the full path" in done.err
    assert not (workplace.folder / "~").exists()


def test_programs_get_folders_for_their_files_before_they_are_imported(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
    for name in names:
        monkeypatch.delenv(name, raising=False)  # a test that compiled something has set one
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setattr("sys.argv", ["harness", "list"])

    def list_and_tell() -> None:
        try:
            main()
        except SystemExit:
            print(*(os.environ.get(name) for name in names))  # noqa: T201

    done = forked(list_and_tell, folder=workplace.folder, variables={"HARNESS_CACHE": "/caches"})
    shown = done.out.decode().splitlines()[-1]
    assert shown == "/caches/matplotlib /caches/torchinductor /caches/triton"


def test_a_tilde_is_the_home_in_every_option_and_variable(
    base_run: BaseRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = base_run.workplace.copied(tmp_path / "home").folder
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HARNESS_CACHE", str(base_run.workplace.cache))
    (home / "page.md").write_text(
        "<!-- claims: written by `harness claims --into` -->\n<!-- end of claims -->\n"
    )
    study = ("~/studies/tiny.yaml", "--scale", "smoke")
    for arguments, variables in (
        (("report", *study), {"HARNESS_RESULTS": "~/results", "HARNESS_REPORTS": "~/other"}),
        (
            ("export", *study, "--output", "~/samples.csv"),
            {"HARNESS_STORE": "sqlite:///~/results/harness.db"},
        ),
        (("claims", "--into", "~/page.md", "--results", "~/results"), {}),
        (("list", "--folder", "~/studies"), {}),
        (("new", "mine", "--folder", "~/new"), {}),
    ):
        done = forked(arguments, folder=tmp_path, variables=variables)
        assert done.code == 0, (arguments, done)
    assert (home / "other" / "tiny.smoke.html").is_file()
    assert (home / "samples.csv").is_file()
    assert (home / "new" / "mine.yaml").is_file()
    assert not list(tmp_path.rglob("~"))


def test_a_file_where_the_reports_should_be(base_run: BaseRun, tmp_path: Path) -> None:
    here = base_run.workplace.copied(tmp_path / "place")
    (here.folder / "occupied").write_text("mine")
    variables = {"HARNESS_CACHE": str(here.cache)}
    done = forked(("report", *AT_SCALE, "--reports", "occupied"), folder=here.folder, variables=variables)
    assert done.code == 2
    assert "occupied is not a folder; choose another folder" in done.err.decode().splitlines()[-1]
