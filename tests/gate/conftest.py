"""A project with benchmarks whose figures are chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gate.fake_suite import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Its studies are scripted."""
    return Project.make(tmp_path, monkeypatch)


@pytest.fixture
def real_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Its studies are run."""
    return Project.make_real(tmp_path, monkeypatch)
