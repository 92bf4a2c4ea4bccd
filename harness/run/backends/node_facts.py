"""What a node of a cluster is like, and whether it can run the trials of a driver."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError
from harness.machine.code_digest import code_digests
from harness.machine.environment import environment, usable_cores
from harness.machine.variables import exact_variables
from harness.plugins import PLUGINS_VARIABLE

SAME_EVERYWHERE = (
    "install the same version of transformer-harness, its packages and its plug-ins on every node"
)

_SENT = (PLUGINS_VARIABLE, "HARNESS_CACHE")
"""Variables that workers need besides those that change a measurement."""

Variables = Mapping[str, str | None]
"""Environment variables of the driver; None for one that it does not have."""


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What must be alike on all machines: the digest of the code that measures, and the versions of Python
    and of the packages that matter. `cores` are those that trials may use.
    """

    host: str
    cpu: str
    code: str
    software: dict[str, str]
    cores: int


def facts_of_this_machine() -> NodeFacts:
    here = environment()
    return NodeFacts(
        host=socket.gethostname(),
        cpu=here.cpu,
        code=code_digests().measuring,
        software={"Python": platform.python_version(), **here.packages},
        cores=usable_cores(),
    )


def node_facts(variables: Variables, folder: str) -> NodeFacts:
    """The facts of a node, in a process with these variables. The plug-ins that they name count.

    Raises InputError if the node does not have the folder.
    """
    set_variables(variables)
    facts = facts_of_this_machine()
    check_folders([folder], facts.host)
    return facts


def sent_variables() -> dict[str, str | None]:
    """The variables that processes on nodes have from the driver."""
    return {**exact_variables(), **{name: os.environ.get(name) for name in _SENT}}


def set_variables(variables: Variables) -> None:
    """Set the variables of this process, and with them those of its trials. The engine of a cluster sets some
    itself.
    """
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def check_folders(folders: Sequence[str], host: str) -> None:
    """Raises InputError if a folder of the driver is not on this machine."""
    for folder in folders:
        if not Path(folder).is_dir():
            raise InputError(
                f"the node {host} does not have the folder {folder}",
                hint="--results must be on a file system that all nodes share",
            )


def check_facts(facts: NodeFacts, here: NodeFacts, threads: int) -> None:
    """Raises InputError if a node has other code or software than this machine, or fewer cores than a trial
    has threads.
    """
    if facts.code != here.code:
        raise InputError(
            f"the code on the node {facts.host} is not that of this machine: its digest is "
            f"{facts.code[:12]}, here it is {here.code[:12]}",
            hint=SAME_EVERYWHERE,
        )
    for name in sorted({*facts.software, *here.software}):
        there, expected = (one.software.get(name, "not installed") for one in (facts, here))
        if there != expected:
            raise InputError(
                f"{name} is {there} on the node {facts.host}, and {expected} on this machine",
                hint=SAME_EVERYWHERE,
            )
    if facts.cores < threads:
        raise InputError(
            f"a trial needs {threads} usable cores, and the node {facts.host} has {facts.cores}: trials use "
            "as many threads as the machine of the driver allows",
            hint="start the run on a machine like the nodes, or on fewer cores: taskset -c 0-3 …",
        )
