"""A whole study: what it declares, and its claims."""

from __future__ import annotations

from pydantic import Field

from harness.study.claims import AnyClaim
from harness.study.schema import StudyBase


class Study(StudyBase):
    """One scale of a study, or of one of its parts, with every setting resolved."""

    claims: dict[str, AnyClaim] = Field(default_factory=dict)
