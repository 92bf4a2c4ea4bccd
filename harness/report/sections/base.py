"""A section of the report: a heading, a template, and a function that computes what the template prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.report.inputs import ReportInput


@dataclass(frozen=True, kw_only=True)
class Section:
    """`id` is the anchor of the section and the name of its template. The template gets the result of `view`
    as `view`; if that is None, the section is left out.
    """

    id: str
    title: str
    view: Callable[[ReportInput], object]
