"""The backend of a Slurm cluster, as a site profile describes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from harness.run.backends.settings import BackendSettings
from harness.run.backends.slurm_profile import SlurmProfile

if TYPE_CHECKING:
    from harness.run.backends.base import Backend


class SlurmSettings(SlurmProfile, BackendSettings):
    """Trials run in jobs of a Slurm cluster."""

    name: ClassVar[str] = "slurm"

    @contextmanager
    def opened(self, *, gpu: str | None, results: Path) -> Iterator[Backend]:
        from harness.run.backends.cluster_backend import ClusterBackend
        from harness.run.backends.slurm_cluster import SlurmCluster

        with SlurmCluster(self, results) as cluster, ClusterBackend(cluster) as backend:
            backend.begin_with(cluster.first_need(gpu))
            yield backend
