"""The studies that ship with the harness, and where the recipes of a study are.

`harness/studies` is a link to `studies/` in a clone, and a folder in an installed package.
"""

from __future__ import annotations

from pathlib import Path

OWN_STUDIES = Path("studies")
"""The folder of a user's own studies."""

SHIPPED = (Path(__file__).resolve().parents[1] / "studies").resolve()


def studies_in(folder: Path) -> dict[str, Path]:
    """The files of the studies in a folder by their names, in the order of the names."""
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def recipe_folders(study: Path) -> tuple[Path, ...]:
    """Where the recipes of a study are looked for: beside its file, then in `studies/` of the folder in which
    the command runs, then among those that ship.
    """
    folders: dict[Path, Path] = {}
    for folder in (study.parent, OWN_STUDIES, SHIPPED):
        folders.setdefault((folder / "recipes").resolve(), folder / "recipes")
    return tuple(folders.values())


def recipe_file(study: Path, name: str) -> Path | None:
    """The file of a recipe of a study, or None."""
    files = (folder / f"{name}.yaml" for folder in recipe_folders(study))
    return next((file for file in files if file.is_file()), None)
