"""What a section is: a heading, a template, and the function that computes what the template prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.report.inputs import ReportInput


@dataclass(frozen=True, kw_only=True)
class Section:
    """`id` is the anchor, and the template's name; the template sees the value of `view` as `view`; None
    leaves the section out.
    """

    id: str
    title: str
    view: Callable[[ReportInput], object]
