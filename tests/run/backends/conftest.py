"""A trial that measures something tiny, for every backend."""

from __future__ import annotations

from tests.run.worker.conftest import job, workplace

__all__ = ["job", "workplace"]
