"""The nodes of a Ray cluster, and what they say about themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from harness.errors import InputError
from harness.run.backends.node_facts import SAME_EVERYWHERE, NodeFacts, Variables, node_facts
from harness.run.backends.ray_actor import last_line

_ANSWER_S = 120.0


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
                f"the node {node.address} cannot run trials: {last_line(error)}", hint=SAME_EVERYWHERE
            ) from None
