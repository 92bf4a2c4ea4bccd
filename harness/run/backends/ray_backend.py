"""Trials on the nodes of a Ray cluster. An actor on a node runs them (`harness.run.backends.ray_node`), and
Ray repeats nothing: the driver decides about another attempt, which is a row of its own in the store.

A trial that is timed has all CPUs of its node, and all trials of a round run on one node. Trials side by side
have as many CPUs as threads.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from harness.config import digest
from harness.errors import HarnessError, InputError
from harness.machine.variables import exact_variables
from harness.paths import nearest
from harness.plugins import PLUGINS_VARIABLE
from harness.run.backends.base import Finished
from harness.run.backends.ray_actor import Need, RayActor, last_line
from harness.run.backends.ray_handle import RayHandle
from harness.run.backends.ray_node import facts_of_this_machine
from harness.run.backends.ray_nodes import alive_nodes, check_facts, read_facts
from harness.run.job import Job
from harness.trial.causes import Cause
from harness.trial.outcome import read_events

_SENT = (PLUGINS_VARIABLE, "HARNESS_CACHE")
"""Variables that workers need besides those that change a measurement."""


class RayBackend:
    """Trials on a cluster that this process is connected to. Use as a context manager."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._here = facts_of_this_machine()
        self._variables = {**exact_variables(), **{name: os.environ.get(name) for name in _SENT}}
        self._slots = max(1, int(sum(node.cpus for node in alive_nodes(ray))))
        self._pool = ThreadPoolExecutor(self._slots + 1, thread_name_prefix="ray-backend")
        self._changing = threading.Lock()
        self._idle: list[RayActor] = []
        self._handles: list[RayHandle] = []
        self._in_round = False
        self._round = _Round()

    @property
    def slots(self) -> int:
        return self._slots

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
            check_facts(facts, self._here)

    def begin_part(self) -> None:
        self._in_round = False

    def begin_round(self) -> None:
        """The actors of earlier rounds end, and their processes with them."""
        if self._in_round:
            self._stop_idle()
        self._in_round, self._round = True, _Round()

    def submit(self, job: Job) -> RayHandle:
        handle = RayHandle()
        handle.future = self._pool.submit(self._run, job, handle, self._round)
        with self._changing:
            self._handles = [one for one in self._handles if not one.future.done()] + [handle]
        return handle

    def close(self) -> None:
        """Also ends the trials that are still running. Nothing of this driver stays on the nodes."""
        for handle in self._handles:
            handle.cancel(grace_s=0.0)
        self._pool.shutdown()
        self._stop_idle()

    def _stop_idle(self, but: Need | None = None) -> None:
        """End the actors that run no trial, but for those with these resources."""
        with self._changing:
            stopped = [actor for actor in self._idle if actor.need != but]
            self._idle = [actor for actor in self._idle if actor.need == but]
        closing = [actor.closing() for actor in stopped]
        for actor, reference in zip(stopped, closing, strict=True):
            actor.end(reference)

    def _run(self, job: Job, handle: RayHandle, its_round: _Round) -> Finished:
        began, is_timed = time.perf_counter(), job.spec.purpose == "measure" and not job.side_by_side
        if is_timed and its_round.is_broken:
            return _ended(
                Cause.LOST_WORKER, "the node of this round was lost, and a round has one node", began
            )
        actor = self._actor_for(job)
        try:
            handle.began(actor)
            facts = actor.ready()
            check_facts(facts, self._here)
            finished = actor.run(job.model_dump_json(), _needed_folders(job))
        except self._ray.exceptions.RayError as error:
            actor.kill()
            if handle.cancelled:
                return _ended(Cause.STOPPED, "the driver stopped the trial", began)
            if (reason := _not_lost(self._ray, error)) is not None:
                raise reason from None
            if is_timed:
                its_round.node_was_lost()
            return _ended(_cause(self._ray, error), f"the node is lost: {last_line(error)}", began)
        except BaseException:
            actor.kill()
            raise
        finally:
            handle.ended()
        with self._changing:
            self._idle.append(actor)
        if is_timed:
            its_round.trial_ended()
        _check_that_the_model_is_here(job, finished, facts.host)
        return finished

    def _actor_for(self, job: Job) -> RayActor:
        """An actor that is free, or a new one. Those with other resources end first, because they would keep
        CPUs that a new one may need.
        """
        gpus = _gpus(job)
        most = max((node.cpus for node in alive_nodes(self._ray) if node.gpus >= gpus), default=0.0)
        if not most:
            raise HarnessError("no node of the Ray cluster can run this trial any more")
        need = Need(cpus=min(float(job.threads), most) if job.side_by_side else most, gpus=gpus)
        self._stop_idle(but=need)
        with self._changing:
            if self._idle:
                return self._idle.pop()
        return RayActor(self._ray, need, self._variables)


class _Round:
    """Whether the trials of a round that are timed can still run on one node. `is_broken` says that the node
    was lost after a trial of the round had ended there.
    """

    def __init__(self) -> None:
        self.is_broken = self._has_values = False

    def trial_ended(self) -> None:
        self._has_values = True

    def node_was_lost(self) -> None:
        self.is_broken = self._has_values


def _gpus(job: Job) -> int:
    """How many GPUs a job needs: one for each rank."""
    if job.gpu is None:
        return 0
    return 1 if job.spec.purpose == "check" else job.task.read(job.spec.config).ranks


def _ended(cause: Cause, error: str, began: float) -> Finished:
    """The end of a trial that wrote nothing that could be read."""
    outcome = read_events((), died=error, cause=cause)
    return Finished(outcome=outcome, seconds=time.perf_counter() - began, telemetry=(), nvml_reason=None)


def _cause(ray: Any, error: Any) -> Cause:
    out_of_memory = isinstance(error, ray.exceptions.OutOfMemoryError)
    return Cause.HOST_MEMORY if out_of_memory else Cause.LOST_WORKER


def _not_lost(ray: Any, error: Any) -> HarnessError | None:
    """The error of the harness on a node that is alive; None if the node or its process was lost."""
    if isinstance(error, ray.exceptions.RayTaskError):
        cause = error.cause
        return cause if isinstance(cause, HarnessError) else HarnessError(f"on a node: {last_line(error)}")
    if isinstance(error, ray.exceptions.RayActorError) and error.actor_init_failed:
        return InputError(
            f"a node cannot run trials: {last_line(error)}",
            hint="install the same version of transformer-harness on every node",
        )
    return None


def _needed_folders(job: Job) -> Sequence[str]:
    """The folders that exist here and that a node must see as well."""
    paths = [*job.checkpoints.values(), *([job.sources] if job.sources else [])]
    return sorted({str(nearest(Path(path))) for path in paths})


def _check_that_the_model_is_here(job: Job, finished: Finished, host: str) -> None:
    """Raises InputError if a training wrote its model to a disk that only its node has."""
    if job.spec.purpose != "train" or finished.outcome.status != "finished":
        return
    folder = Path(job.checkpoints.get(digest(job.spec.config), ""))
    if not folder.is_dir():
        raise InputError(
            f"the model that was trained on the node {host} is not in {folder}",
            hint="--results must be on a file system that all nodes share",
        )
