"""`harness new --plugin`: write a package with parts of one's own, to start from."""

from __future__ import annotations

import importlib.util
import keyword
import re
from importlib.resources import files
from pathlib import Path

from harness.cli.console import CommandOutput
from harness.errors import InputError


def new_plugin(name: str, folder: Path | None, output: CommandOutput) -> None:
    """Write the folder NAME, by default in the working directory: a package and a test that passes. No file
    is overwritten.

    Raises InputError if the name cannot be that of a package, or if there is such a folder or module.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) or keyword.iskeyword(name):
        raise InputError(
            f"{name!r} is not allowed as the name of a package",
            hint="start with a small letter and use small letters, digits and underscores, as in my_parts",
        )
    target = (folder or Path()) / name
    if target.exists():
        raise InputError(f"{target} already exists", hint="choose another name")
    if importlib.util.find_spec(name) is not None:
        raise InputError(f"there is a Python module {name} already", hint="choose another name")
    wanted = {
        target / "pyproject.toml": "pyproject.toml.txt",
        target / name / "__init__.py": "parts.txt",
        target / "tests" / f"test_{name}.py": "test_parts.txt",
    }
    for path, template in wanted.items():
        text = (files("harness.cli") / "plugin_template" / template).read_text(encoding="utf-8")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("NAME", name), encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"cannot write {path}: {error.strerror}", hint="choose another folder"
            ) from error
    for path in wanted:
        output.line(str(path))
