"""How a site runs trials: each backend is opened from settings of its own, which stand in no study."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from harness.config import Config

if TYPE_CHECKING:
    from harness.run.backends.base import Backend


class BackendSettings(Config, ABC):
    """What a site profile can say about one backend. A subclass has a `name`, and opens its backend."""

    name: ClassVar[str]

    @abstractmethod
    def opened(self, *, gpu: str | None, results: Path) -> AbstractContextManager[Backend]:
        """The backend, which is closed at the end. `gpu` is the UUID of the GPU of the run, or None. The
        trained models are in the folder `results`.

        Raises InputError, before anything is written, if trials cannot run there.
        """


class LocalSettings(BackendSettings):
    """Trials run on this machine."""

    name: ClassVar[str] = "local"

    @contextmanager
    def opened(self, *, gpu: str | None, results: Path) -> Iterator[Backend]:  # noqa: ARG002  jobs name them
        from harness.run.backends.local import LocalBackend
        from harness.telemetry.nvml import NvmlReader

        with NvmlReader() as nvml, LocalBackend(nvml=nvml) as backend:
            yield backend
