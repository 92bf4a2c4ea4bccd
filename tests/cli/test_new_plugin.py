"""`harness new --plugin` writes a package that the harness takes, with a test that passes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.plugins import PLUGINS_VARIABLE
from tests.support.plugins import importable


@pytest.fixture
def package(tmp_path: Path) -> Path:
    run = CliRunner().invoke(app, ["new", "--plugin", "my_new_parts", "--folder", str(tmp_path)])
    assert run.exit_code == 0, run.stderr
    folder = tmp_path / "my_new_parts"
    written = [folder / name for name in ("pyproject.toml", "my_new_parts/__init__.py")]
    assert run.stdout.splitlines() == [*map(str, written), str(folder / "tests/test_my_new_parts.py")]
    return folder


def test_the_test_of_the_package_passes(package: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.splitlines()[-1].startswith("2 passed"), run.stdout


def test_the_harness_takes_all_its_parts(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PLUGINS_VARIABLE, raising=False)
    with importable(package, "my_new_parts"):
        run = CliRunner().invoke(app, ["plugins", "--json", "--plugin", "my_new_parts"])
    rows = {(row["group"], row["name"]): row["refused"] for row in json.loads(run.stdout)}
    assert rows == {("optimizers", "my_new_parts"): None, ("metrics", "my_new_parts_gap"): None}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My-Parts", "'My-Parts' is not allowed as the name of a package"),
        ("class", "'class' is not allowed as the name of a package"),
        ("harness", "there is a Python module harness already"),
        ("my_new_parts", "already exists"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(package: Path, name: str, message: str) -> None:
    before = sorted(package.rglob("*"))
    run = CliRunner().invoke(app, ["new", "--plugin", name, "--folder", str(package.parent)])
    assert run.exit_code == 2
    assert message in run.stderr
    assert sorted(package.rglob("*")) == before
