"""`harness skill`: a page that teaches a coding assistant to use `harness judge`."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files

from harness.exit_codes import MEANINGS, written

PACKAGE = "transformer-harness"


def skill_text() -> str:
    """The page in `skill.md`, with the version of the package and the list of all exit codes."""
    page = files("harness.cli").joinpath("skill.md").read_text(encoding="utf-8")
    codes = [f"| {written(code)} | {meaning} |" for code, meaning in MEANINGS.items()]
    table = "\n".join(["| exit code | meaning |", "|---|---|", *codes])
    return page.replace("@VERSION@", version(PACKAGE)).replace("@EXIT_CODES@", table)
