"""Trials on the nodes of a cluster. Actors on the nodes run them, and nothing is repeated there: the driver
decides about another attempt, which is a row of its own in the store.

A trial that is timed has its node to itself, and all trials of a round run on one node. Trials side by side
have as many CPUs as threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from harness.config import digest
from harness.errors import HarnessError, InputError
from harness.paths import nearest
from harness.run.backends.base import Finished
from harness.run.backends.cluster import Actor, ActorLostError, Cluster, Need
from harness.run.backends.cluster_handle import ClusterHandle
from harness.run.backends.node_facts import NodeFacts, check_facts
from harness.run.job import Job
from harness.trial.causes import Cause
from harness.trial.outcome import read_events


class ClusterBackend:
    """Trials on a cluster that this process can use already. Use as a context manager."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pool = ThreadPoolExecutor(cluster.slots, thread_name_prefix="cluster-backend")
        self._changing = threading.Lock()
        self._idle: list[Actor] = []
        self._handles: list[ClusterHandle] = []
        self._in_round = False
        self._round = _Round()

    @property
    def slots(self) -> int:
        return self._cluster.slots

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_with(self, need: Need) -> None:
        """Start the first actor, and wait for its node. Raises InputError if that cannot run the trials of
        this driver.
        """
        actor = self._cluster.start(need)
        try:
            here = self._cluster.here
            check_facts(actor.ready(), here, here.cores)
        except ActorLostError as error:
            actor.kill()
            raise InputError(f"no node can run trials: {error}") from None
        except BaseException:
            actor.kill()
            raise
        self._idle.append(actor)

    def begin_part(self) -> None:
        self._in_round = False

    def begin_round(self) -> None:
        """The actors of earlier rounds end, and their processes with them."""
        if self._in_round:
            self._stop_idle()
        self._in_round, self._round = True, _Round()

    def submit(self, job: Job) -> ClusterHandle:
        handle = ClusterHandle()
        handle.future = self._pool.submit(self._run, job, handle, self._round)
        with self._changing:
            self._handles = [one for one in self._handles if not one.future.done()] + [handle]
        return handle

    def close(self) -> None:
        """Also ends the trials that are still running, after those that wait. Nothing of this driver stays on
        the nodes.
        """
        for handle in reversed(self._handles):
            handle.cancel(grace_s=0.0)
        self._pool.shutdown()
        self._stop_idle()

    def _stop_idle(self, but: Need | None = None) -> None:
        """End the actors that run no trial, but for those with these resources."""
        with self._changing:
            stopped = [actor for actor in self._idle if actor.need != but]
            self._idle = [actor for actor in self._idle if actor.need == but]
        for actor in stopped:
            actor.begin_to_close()
        for actor in stopped:
            actor.close()

    def _run(self, job: Job, handle: ClusterHandle, its_round: _Round) -> Finished:
        began, is_timed = time.perf_counter(), job.spec.purpose == "measure" and not job.side_by_side
        if is_timed and its_round.is_broken:
            return _ended(
                Cause.LOST_WORKER, "the node of this round was lost, and a round has one node", began
            )
        try:
            actor, facts = self._ready_actor(job, handle, must_stay=is_timed and its_round.has_values)
            finished = _run_on(actor, job)
        except ActorLostError as error:
            if handle.cancelled:
                return _stopped(began)
            if is_timed:
                its_round.node_was_lost()
            return _ended(error.cause, f"the node is lost: {error}", began)
        except HarnessError:
            if handle.cancelled:
                return _stopped(began)
            raise
        finally:
            handle.ended()
        with self._changing:
            self._idle.append(actor)
        if is_timed:
            its_round.trial_ended()
        _check_that_the_model_is_here(job, finished, facts.host)
        return finished

    def _ready_actor(self, job: Job, handle: ClusterHandle, *, must_stay: bool) -> tuple[Actor, NodeFacts]:
        """An actor that runs, and the facts of its node. One that has ended while it was idle is replaced,
        unless the job must stay on the node of the earlier ones.
        """
        while True:
            actor, is_new = self._actor_for(job)
            try:
                handle.began(actor)
                facts = actor.ready()
                check_facts(facts, self._cluster.here, job.threads)
                return actor, facts
            except ActorLostError:
                actor.kill()
                if is_new or must_stay or handle.cancelled:
                    raise
            except BaseException:
                actor.kill()
                raise

    def _actor_for(self, job: Job) -> tuple[Actor, bool]:
        """An actor that is free, or a new one, and whether it is new. Those with other resources end first,
        because they would keep CPUs that a new one may need.
        """
        need = self._cluster.need_for(job)
        self._stop_idle(but=need)
        with self._changing:
            if self._idle:
                return self._idle.pop(), False
        return self._cluster.start(need), True


class _Round:
    """Whether the trials of a round that are timed can still run on one node. `has_values` says that a trial
    of the round has ended there, and `is_broken` that the node was lost after that.
    """

    def __init__(self) -> None:
        self.is_broken = self.has_values = False

    def trial_ended(self) -> None:
        self.has_values = True

    def node_was_lost(self) -> None:
        self.is_broken = self.has_values


def gpus_for_job(job: Job) -> int:
    """How many GPUs a job needs: one for each rank."""
    if job.gpu is None:
        return 0
    return 1 if job.spec.purpose == "check" else job.task.read(job.spec.config).ranks


def _run_on(actor: Actor, job: Job) -> Finished:
    """Run a job. An actor that does not come to its end is killed."""
    try:
        return actor.run(job.model_dump_json(), _needed_folders(job))
    except BaseException:
        actor.kill()
        raise


def _ended(cause: Cause, error: str, began: float) -> Finished:
    """The end of a trial that wrote nothing that could be read."""
    outcome = read_events((), died=error, cause=cause)
    return Finished(outcome=outcome, seconds=time.perf_counter() - began, telemetry=(), nvml_reason=None)


def _stopped(began: float) -> Finished:
    return _ended(Cause.STOPPED, "the driver stopped the trial", began)


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
