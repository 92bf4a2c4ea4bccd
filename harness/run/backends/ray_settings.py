"""What a site profile can say about a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from harness.run.backends.settings import BackendSettings

if TYPE_CHECKING:
    from harness.run.backends.base import Backend


class RaySettings(BackendSettings):
    """Trials run on the nodes of a Ray cluster that is running already."""

    name: ClassVar[str] = "ray"

    address: str = "auto"
    """`HOST:PORT` of the head node, `ray://HOST:PORT` of Ray's client server, or `auto`: what `RAY_ADDRESS`
    says, or else the cluster that this machine is part of.
    """

    @contextmanager
    def opened(self, *, gpu: str | None, results: Path) -> Iterator[Backend]:
        from harness.run.backends.cluster_backend import ClusterBackend
        from harness.run.backends.ray_cluster import RayCluster
        from harness.run.backends.ray_connection import connected

        with connected(self.address) as ray:
            cluster = RayCluster(ray)
            cluster.check_nodes(gpu, results)
            with ClusterBackend(cluster) as backend:
                yield backend
