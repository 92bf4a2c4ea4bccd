"""The nodes of a Ray cluster, and whether they can run the trials of this driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from harness.errors import InputError
from harness.run.backends.ray_actor import last_line
from harness.run.backends.ray_node import NodeFacts, Variables, node_facts

_ANSWER_S = 120.0
_SAME = "install the same version of transformer-harness, its packages and its plug-ins on every node"


class RayNode(NamedTuple):
    """A node that is alive, with the resources that Ray counts."""

    id: str
    address: str
    cpus: float
    gpus: float


def alive_nodes(ray: Any) -> list[RayNode]:
    """The nodes that Ray takes to be alive."""
    return [
        RayNode(
            id=node["NodeID"],
            address=node["NodeManagerAddress"],
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def read_facts(ray: Any, nodes: Sequence[RayNode], variables: Variables, folder: str) -> Iterator[NodeFacts]:
    """Ask every node for its facts, all at the same time. Raises InputError if one cannot answer, or if it
    does not have the folder.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    kind = ray.remote(node_facts)
    asked = [
        kind.options(
            num_cpus=0,
            max_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
        ).remote(dict(variables), folder)
        for node in nodes
    ]
    for node, reference in zip(nodes, asked, strict=True):
        try:
            yield ray.get(reference, timeout=_ANSWER_S)
        except ray.exceptions.GetTimeoutError:
            raise InputError(f"the node {node.address} does not answer within {_ANSWER_S:.0f} s") from None
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, InputError):
                raise cause from None
            raise InputError(
                f"the node {node.address} cannot run trials: {last_line(error)}", hint=_SAME
            ) from None


def check_facts(facts: NodeFacts, here: NodeFacts) -> None:
    """Raises InputError if a node has other code or software than this machine, or fewer cores."""
    if facts.code != here.code:
        raise InputError(
            f"the code on the node {facts.host} is not that of this machine: its digest is "
            f"{facts.code[:12]}, here it is {here.code[:12]}",
            hint=_SAME,
        )
    for name in sorted({*facts.software, *here.software}):
        there, expected = (one.software.get(name, "not installed") for one in (facts, here))
        if there != expected:
            raise InputError(
                f"{name} is {there} on the node {facts.host}, and {expected} on this machine", hint=_SAME
            )
    if facts.cores < here.cores:
        raise InputError(
            f"the node {facts.host} has {facts.cores} usable cores, and this machine {here.cores}: trials "
            "use as many threads as the machine of the driver allows",
            hint="start the run on a machine like the nodes",
        )
