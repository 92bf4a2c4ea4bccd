"""The report: all sections in their order, rendered into one self-contained HTML file."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import psutil
from markupsafe import Markup

from harness.errors import InputError
from harness.masking import masked
from harness.metrics import declared
from harness.plugins import RefusedError, Registry
from harness.report.inputs import ReportInput
from harness.report.script import policy, script
from harness.report.sections import (
    claims,
    comparison,
    curves,
    environments,
    failures,
    figures,
    former,
    invariants,
    method,
    pairs,
    parity,
    points,
    resources,
    samples,
    search,
    search_figures,
    settings,
    trials,
    tuning,
    written,
)
from harness.report.sections.headline import headline_view
from harness.report.sections.surroundings import surroundings_view
from harness.report.sections.tradeoff import tradeoff_views
from harness.report.unbroken import unbroken
from harness.store.pieces import in_parts
from harness.visible import visible
from harness.wording import count


@dataclass(frozen=True, kw_only=True)
class Section:
    """`id` is the anchor of the section and the name of its template. The template gets the result of `view`
    as `view`; if that is None, the section is left out. `template` is the text of the template of a section
    that a plug-in adds. A section with a `summary` is folded: the page shows this line, computed from the
    view, until a reader opens the section.
    """

    id: str
    title: str
    view: Callable[[ReportInput], object]
    template: str = ""
    summary: Callable[[Any], str] | None = None


SECTIONS = (
    Section(id="claims", title="Claims", view=claims.claims_view),
    Section(id="search", title="Search", view=search.search_view),
    Section(id="search_figures", title="Figures of the search", view=search_figures.search_figures_view),
    Section(id="comparison", title="Comparison", view=comparison.comparison_view),
    Section(
        id="settings", title="Settings of each arm", view=settings.settings_view, summary=settings.summary
    ),
    Section(id="curves", title="Learning curves", view=curves.curves_view),
    Section(id="figures", title="Figures", view=figures.figures_view),
    Section(id="resources", title="Load, memory and energy", view=resources.resources_view),
    Section(id="written", title="Generated texts", view=written.written_view),
    Section(id="tuning", title="Tuning", view=tuning.tuning_view),
    Section(id="invariants", title="Invariants", view=invariants.invariants_view, summary=invariants.summary),
    Section(
        id="failures",
        title="Failures and their causes",
        view=failures.failures_view,
        summary=failures.summary,
    ),
    Section(id="former", title="Former runs", view=former.former_view, summary=former.summary),
    Section(
        id="environments",
        title="Differences of environment",
        view=environments.environments_view,
        summary=environments.summary,
    ),
    Section(id="parity", title="Parity: work of each arm", view=parity.parity_view, summary=parity.summary),
    Section(id="points", title="Points of the search", view=points.points_view, summary=points.summary),
    Section(id="pairs", title="Pairs behind each effect", view=pairs.pairs_view, summary=pairs.summary),
    Section(id="trials", title="Trials", view=trials.trials_view, summary=trials.summary),
    Section(id="samples", title="Raw samples", view=samples.samples_view, summary=samples.summary),
    Section(id="method", title="Method", view=method.method_view, summary=method.summary),
)


def _named(_: str, value: Any) -> tuple[str, Section] | None:
    if not isinstance(value, Section):
        return None
    if not value.template:
        raise RefusedError(f"the section {value.id!r} has no template")
    if _template_file(value.id).exists():
        raise RefusedError(f"the report itself has a template {value.id!r}")
    return value.id, value


def _template_file(name: str) -> Path:
    return _TEMPLATES / f"{name}.html.j2"


_TEMPLATES = Path(__file__).parent / "templates"
REPORT_SECTIONS: Registry[Section] = Registry(
    "sections", {section.id: section for section in SECTIONS}, "a Section", _named
)


def sections() -> Iterator[Section]:
    """Those that ship, and those of plug-ins before the last one."""
    *first, method_section = SECTIONS
    yield from (*first, *REPORT_SECTIONS.added().values(), method_section)


def _added_template(file: str) -> str | None:
    section = REPORT_SECTIONS.added().get(file.removesuffix(".html.j2"))
    return None if section is None else section.template


def render(*parts: ReportInput) -> str:
    """The page for all parts of one study. It loads nothing from elsewhere, runs only the script of the
    harness, and is the same for the same input.
    """
    records = {name: record for part in parts for name, record in part.loaded.study.records.items()}
    with declared(records):
        return _rendered(parts)


def _rendered(parts: Sequence[ReportInput]) -> str:
    views = [
        (
            part,
            [
                (section, part.anchor(section.id), view)
                for section in sections()
                if (view := section.view(part)) is not None
            ],
        )
        for part in parts
    ]
    fragments = (
        _templates()
        .get_template("page.html.j2")
        .generate(
            headline=headline_view(parts),
            tradeoffs=tradeoff_views(parts),
            parts=views,
            policy=Markup(policy()),
            script=script(),
            surroundings=surroundings_view(parts),
        )
    )
    # A long page has hundreds of thousands of fragments, which take more memory than the page.
    return unbroken("".join("".join(some) for some in in_parts(fragments, _FRAGMENTS_AT_ONCE)))


def render_template(name: str, **values: object) -> str:
    """Another page, from the template of this name. Its texts are masked, made visible and escaped as those
    of a report.
    """
    return unbroken(_templates().get_template(name).render(**values))


_FRAGMENTS_AT_ONCE = 1000


@cache
def _templates() -> jinja2.Environment:
    """The templates, each of which is compiled once however many reports are made."""
    templates = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.FileSystemLoader(_TEMPLATES), jinja2.FunctionLoader(_added_template)]
        ),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["count"] = count
    return templates


def _shown(value: object) -> object:
    """What an expression of a template writes, before it is escaped: texts without secrets, in which every
    character that cannot be seen is an escape. Lines stay lines.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return visible(masked(value).replace("\r\n", "\n"), keep="\n\t")


def write_report(parts: Sequence[ReportInput], path: Path) -> None:
    """Render the parts of a study into the file `path`, as `write_page` does."""
    write_page(render(*parts), path)


def write_page(page: str, path: Path) -> None:
    """Write a page into the file `path`, which is never incomplete: it is replaced in one step.

    Raises InputError if the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _sweep(path)
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        hint = "choose an existing directory with write permission"
        raise InputError(f"cannot write the report {path}: {error.strerror}", hint=hint) from None
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove the partial files of this report that killed processes have left.

    A file is left alone if a process with the id in its name runs here, or if another process holds its lock,
    as one in another container may.
    """
    for partial in path.parent.glob(f".{glob.escape(path.name)}.*"):
        pid = partial.suffix[1:]
        if not pid.isdecimal() or (int(pid) != os.getpid() and psutil.pid_exists(int(pid))):
            continue
        with contextlib.suppress(OSError), partial.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            partial.unlink()
