"""What pip may know of this machine when it downloads a corpus: package indexes, proxies and certificates.

Everything else that variables and configuration files can tell pip is left out. Some of it installs, builds
or runs other programs: `requirement` names more packages, and the `setup.py` of a source archive runs.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from platformdirs import site_config_dir, user_config_dir

from harness.errors import CorpusError, Location

SETTINGS = (
    "index-url",
    "extra-index-url",
    "no-index",
    "find-links",
    "trusted-host",
    "proxy",
    "cert",
    "client-cert",
    "retries",
    "timeout",
    "default-timeout",
)
_PREFIX, _FILE = "PIP_", "PIP_CONFIG_FILE"
_SECTIONS = ("global", "download")


def pip_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without pip's variables, except for the SETTINGS, which have the values that pip itself
    would find in variables and configuration files. No configuration file is left for pip to read.

    Raises CorpusError if a configuration file cannot be read.
    """
    settings = _from_files(environment) | {
        name: value
        for name in SETTINGS
        if (value := environment.get(_variable(name)))  # pip ignores empty ones too
    }
    others = {name: value for name, value in environment.items() if not name.startswith(_PREFIX)}
    return {
        **others,
        **{_variable(name): value for name, value in settings.items()},
        _FILE: os.devnull,
    }


def _variable(name: str) -> str:
    return _PREFIX + name.upper().replace("-", "_")


def _from_files(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings in pip's configuration files. Later files override earlier ones, and the section of the
    command overrides the global one.
    """
    sections: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for file in _files(environment.get(_FILE)):
        parser = configparser.RawConfigParser()
        try:
            parser.read(file)
        except (configparser.Error, OSError, UnicodeDecodeError) as error:
            raise CorpusError(
                f"pip's settings cannot be read: {error}", at=Location(str(file)), hint="correct this file"
            ) from error
        for section in sections.keys() & set(parser.sections()):
            for key, value in parser.items(section):
                name = key.replace("_", "-").removeprefix("--")
                if name in SETTINGS and value:
                    sections[section][name] = value
    return sections["global"] | sections["download"]


def _files(named: str | None) -> list[Path]:
    """The files that pip reads, with `named` as its variable: of the machine, the user, and the Python
    environment.
    """
    if named == os.devnull:
        return []
    machine = [*site_config_dir("pip", appauthor=False, multipath=True).split(os.pathsep), "/etc"]
    user = ["~/.pip", user_config_dir("pip", appauthor=False)]
    folders = [*machine, *([] if named and Path(named).exists() else user), sys.prefix]
    files = [Path(folder).expanduser() / "pip.conf" for folder in folders]
    return [*files, Path(named)] if named else files
