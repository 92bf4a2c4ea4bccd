"""A Ray cluster as a source of actors: Ray chooses a node that has the resources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.errors import HarnessError, InputError
from harness.paths import nearest
from harness.run.backends.cluster import Need
from harness.run.backends.cluster_backend import gpus_for_job
from harness.run.backends.node_facts import check_facts, facts_of_this_machine, sent_variables
from harness.run.backends.ray_actor import RayActor
from harness.run.backends.ray_nodes import alive_nodes, read_facts
from harness.run.job import Job


class RayCluster:
    """The cluster that this process is connected to."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self.here = facts_of_this_machine()
        self._variables = sent_variables()
        self.slots = max(1, int(sum(node.cpus for node in alive_nodes(ray))))

    def check_nodes(self, gpu: str | None, results: Path) -> None:
        """Raises InputError if a node cannot run the trials of this driver, if it does not see the folder of
        the results, or if none has a GPU and `gpu` is not None.
        """
        nodes = alive_nodes(self._ray)
        if not any(node.cpus for node in nodes):
            raise InputError("no node of the Ray cluster has CPUs", hint="`ray status` shows the nodes")
        if gpu is not None and not any(node.gpus for node in nodes):
            raise InputError(
                "no node of the Ray cluster has a GPU", hint="use --device cpu, or add a node with a GPU"
            )
        asked = [node for node in nodes if node.cpus]
        for facts in read_facts(self._ray, asked, self._variables, str(nearest(results))):
            check_facts(facts, self.here, self.here.cores)

    def need_for(self, job: Job) -> Need:
        """The CPUs of the largest nodes, or as many as the job has threads if others run beside it."""
        gpus = gpus_for_job(job)
        most = max((node.cpus for node in alive_nodes(self._ray) if node.gpus >= gpus), default=0.0)
        if not most:
            raise HarnessError("no node of the Ray cluster can run this trial any more")
        cpus = min(float(job.threads), most) if job.side_by_side else most
        return Need(cpus=cpus, gpus=gpus, alone=not job.side_by_side)

    def start(self, need: Need) -> RayActor:
        return RayActor(self._ray, need, self._variables)
