"""From what a person calls a study to its file."""

from __future__ import annotations

from pathlib import Path

from harness.errors import InputError, did_you_mean


def find_study(name: str, folder: Path = Path("studies")) -> Path:
    """A path as it is, a bare name as `studies/NAME.yaml`. Raises InputError with a suggestion."""
    path = Path(name)
    if path.is_file():
        return path
    named = folder / f"{name}.yaml"
    if path.suffix not in (".yaml", ".yml") and named.is_file():
        return named
    known = [known.stem for known in folder.glob("*.yaml")]
    hint = did_you_mean(path.stem, known) or f"studies are looked for in {folder}/"
    raise InputError(f"no study {name!r}: neither that file nor {named} is there", hint=hint)
