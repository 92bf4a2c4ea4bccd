"""pip downloads a wheel and does nothing else, whatever variables and configuration files say."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from harness.data import fetch
from harness.data.pip_settings import SETTINGS, _variable, pip_environment
from harness.errors import CorpusError

BACKEND = """\
import pathlib
pathlib.Path({marker!r}).write_text("ran")
"""


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that a source archive writes as soon as anything of it runs."""
    return tmp_path / "marker"


@pytest.fixture
def requirements(tmp_path: Path, marker: Path) -> Path:
    """A file of requirements that names a source archive, whose build needs nothing but itself."""
    source = tmp_path / "evil-1.0"
    source.mkdir()
    for name in ("setup.py", "backend.py"):
        (source / name).write_text(BACKEND.format(marker=str(marker)))
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    archive = tmp_path / "evil-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(source, arcname=source.name)
    path = tmp_path / "requirements.txt"
    path.write_text(f"--no-binary :all:\n{archive}\n")
    return path


def hostile_settings(requirements: Path, folder: Path) -> dict[str, str]:
    return {
        "requirement": str(requirements),
        "no-build-isolation": "0",
        "no-binary": ":all:",
        "target": str(folder / "target"),
        "python": str(folder / "python"),
        "log": str(folder / "log"),
        "dry-run": "1",
        "require-virtualenv": "1",
    }


def test_the_archive_runs_where_pip_is_asked_to_take_it(
    requirements: Path, marker: Path, tmp_path: Path, offline: None
) -> None:
    """Otherwise the next test would show nothing."""
    command = [sys.executable, "-m", "pip", "download", "-r", str(requirements), "-d", str(tmp_path / "d")]
    subprocess.run(command, capture_output=True, check=False)
    assert marker.exists()


@pytest.mark.parametrize("given_by", ["variables", "user", "named"])
def test_neither_variables_nor_configuration_make_pip_build_or_run_anything(
    wheel: Path,
    requirements: Path,
    marker: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given_by: str,
) -> None:
    hostile = hostile_settings(requirements, tmp_path)
    python = Path(hostile["python"])
    python.write_text(f"#!/bin/sh\necho ran > {marker}\n")
    python.chmod(0o755)
    modules = tmp_path / "modules"
    modules.mkdir()
    for name in ("sitecustomize.py", "usercustomize.py", "pip.py", "startup.py"):
        (modules / name).write_text(BACKEND.format(marker=str(marker)))
    monkeypatch.setenv("PYTHONPATH", str(modules))
    monkeypatch.setenv("PYTHONSTARTUP", str(modules / "startup.py"))
    monkeypatch.chdir(modules)
    if given_by == "variables":
        for name, value in hostile.items():
            monkeypatch.setenv("PIP_" + name.upper().replace("-", "_"), value)
    else:
        file = tmp_path / "config" / "pip" / "pip.conf"
        file.parent.mkdir(parents=True)
        lines = [f"{name} = {value}" for name, value in hostile.items()]
        file.write_text("\n".join(["[global]", *lines, "[download]", *lines]))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.delenv("PIP_CONFIG_FILE")
        if given_by == "named":
            monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    assert fetch.fetch("wikitext-2").is_dir()
    assert not marker.exists()
    assert not (tmp_path / "target").exists()
    assert not (tmp_path / "log").exists()


def test_index_and_proxy_settings_are_those_that_pip_would_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compared with what pip itself says, for files of the machine and the user, and variables."""
    for name in SETTINGS:
        monkeypatch.delenv("PIP_" + name.upper().replace("-", "_"), raising=False)
    monkeypatch.delenv("PIP_CONFIG_FILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{tmp_path / 'one'}:{tmp_path / 'two'}")
    contents = {
        ".pip": "[global]\nindex-url = https://a/simple\ncert = /a\n[install]\nproxy = http://a\n",
        "user/pip": "[download]\nindex_url = https://b/simple\n[global]\nclient-cert = /b\ncert = /b\n",
        "one/pip": "[global]\nextra-index-url =\n  https://c/simple\n  https://d/simple\ntrusted-host = c\n",
        "two/pip": "[global]\ntrusted-host = d\nretries = 3\nproxy = http://two\ntarget = /e\n",
    }
    for folder, content in contents.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pip.conf").write_text(content)
    monkeypatch.setenv("PIP_PROXY", "http://user:word@proxy")
    monkeypatch.setenv("PIP_TIMEOUT", "")
    monkeypatch.setenv("PIP_TARGET", "/f")
    listed = subprocess.check_output([sys.executable, "-m", "pip", "config", "list"], text=True)
    by_section: dict[str, dict[str, str]] = {"global": {}, "download": {}, ":env:": {}}
    for line in listed.splitlines():
        name, value = line.split("=", 1)
        section, key = name.split(".", 1)
        by_section.setdefault(section, {})[key] = ast.literal_eval(value)
    expected = by_section["global"] | by_section["download"]
    expected |= {key: value for key, value in by_section[":env:"].items() if value}
    given = {name: value for name, value in pip_environment(os.environ).items() if name.startswith("PIP_")}
    assert given == {
        "PIP_CONFIG_FILE": os.devnull,
        **{_variable(key): value for key, value in expected.items() if key in SETTINGS},
    }
    assert given["PIP_PROXY"] == "http://user:word@proxy"
    assert given["PIP_INDEX_URL"] == "https://b/simple"
    assert given["PIP_EXTRA_INDEX_URL"].split() == ["https://c/simple", "https://d/simple"]
    assert given["PIP_TRUSTED_HOST"] == "d"


@pytest.mark.parametrize(
    "content", [b"index-url = x\n", b"[global]\nindex-url: \xff\n", b"[global]\n[global]\n"]
)
def test_configuration_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "pip.conf"
    file.write_bytes(content)
    with pytest.raises(CorpusError, match=r"pip\.conf: pip's settings cannot be read: ") as caught:
        pip_environment({"PIP_CONFIG_FILE": str(file)})
    assert "\n" not in str(caught.value)


def test_the_rest_of_the_environment_stays() -> None:
    given = pip_environment({"HTTPS_PROXY": "http://p", "PIP_CONFIG_FILE": os.devnull, "PIPELINE": "1"})
    assert given == {"HTTPS_PROXY": "http://p", "PIP_CONFIG_FILE": os.devnull, "PIPELINE": "1"}
