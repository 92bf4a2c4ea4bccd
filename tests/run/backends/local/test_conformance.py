"""The machine of the driver as a backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.run.backends.base import Backend
from harness.run.backends.settings import LocalSettings
from tests.end_to_end.workplace import Workplace
from tests.run.backends.conformance import BackendConformance


class TestLocal(BackendConformance):
    @pytest.fixture
    def open_backend(
        self, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Callable[..., Backend]]:
        opened: list[Any] = []

        def make(fault: dict[str, Any] | None = None) -> Backend:
            for name, value in workplace.environment(fault).items():
                monkeypatch.setenv(name, value)
            monkeypatch.chdir(workplace.folder)  # which has packages with our packages' names
            opened.append(LocalSettings().opened(gpu=None, results=workplace.folder))
            backend: Backend = opened[0].__enter__()
            return backend

        yield make
        for context in opened:
            context.__exit__(None, None, None)
