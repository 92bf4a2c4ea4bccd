"""The report: all sections in their order, rendered into one self-contained HTML file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import jinja2

from harness.errors import InputError
from harness.report.inputs import ReportInput, RunInfo
from harness.report.sections import (
    claims,
    comparison,
    figures,
    invariants,
    method,
    parity,
    samples,
    tuning,
    written,
)
from harness.report.sections.headline import headline_view
from harness.report.sections.tradeoff import tradeoff_views

__all__ = ["SECTIONS", "ReportInput", "RunInfo", "render", "write_report"]

SECTIONS = tuple(
    module.SECTION
    for module in (claims, comparison, figures, written, tuning, invariants, parity, samples, method)
)


def render(*parts: ReportInput) -> str:
    """The page for all parts of one study. It loads nothing from elsewhere, runs no script, and is the same
    for the same input.
    """
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    views = [
        (
            part,
            [
                (section, part.anchor(section.id), view)
                for section in SECTIONS
                if (view := section.view(part)) is not None
            ],
        )
        for part in parts
    ]
    page: str = templates.get_template("page.html.j2").render(
        headline=headline_view(parts), tradeoffs=tradeoff_views(parts), parts=views
    )
    return page


def write_report(parts: Sequence[ReportInput], path: Path) -> None:
    """Render the parts of a study into the file `path`, which is never incomplete: it is replaced in one
    step.

    Raises InputError if the file cannot be written.
    """
    page = render(*parts)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        hint = "choose an existing directory with write permission"
        raise InputError(f"cannot write the report {path}: {error.strerror}", hint=hint) from None
    finally:
        temporary.unlink(missing_ok=True)
