"""The studies that ship with the harness, and where the recipes of a study are.

`harness/studies` is a link to `studies/` in a clone, and a folder in an installed package.
"""

from __future__ import annotations

from pathlib import Path

SHIPPED = (Path(__file__).resolve().parents[1] / "studies").resolve()


def studies_in(folder: Path) -> dict[str, Path]:
    """The files of the studies in a folder by their names, in the order of the names."""
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def recipe_folders(study: Path) -> tuple[Path, ...]:
    """Where the recipes of a study are looked for: beside its file, then among those that ship."""
    return tuple(dict.fromkeys((study.parent / "recipes", SHIPPED / "recipes")))


def recipe_file(study: Path, name: str) -> Path | None:
    """The file of a recipe of a study, or None."""
    files = (folder / f"{name}.yaml" for folder in recipe_folders(study))
    return next((file for file in files if file.is_file()), None)
