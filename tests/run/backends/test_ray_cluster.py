"""A real Ray cluster on this machine: two nodes that run trials, beside a head that runs none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.run.backends import cluster_backend, node_facts, ray_cluster
from harness.run.backends.base import Backend
from harness.run.backends.node_facts import facts_of_this_machine
from harness.run.backends.ray_connection import connected
from harness.run.backends.ray_settings import RaySettings
from harness.run.job import Job
from harness.trial.causes import Cause
from tests.end_to_end.workplace import DEADLINE_S, LEAST, Workplace
from tests.run.backends.conformance import BackendConformance, ended, wait_until
from tests.run.worker.conftest import STEPS

pytest.importorskip("ray", reason="Ray is not installed: pip install 'transformer-harness[ray]'")
pytestmark = pytest.mark.slow

QUICK_DEATH = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}
"""How soon the head takes a node for lost that does not answer."""

TEST_VARIABLES = ("FAULT", "PYTHONPATH", "TMPDIR", "TEST_LEASE")


@dataclass
class TwoNodes:
    """The cluster. A node that a test kills is replaced for the next one."""

    cluster: Any
    nodes: list[Any] = field(default_factory=list)

    def complete(self) -> None:
        while len(self.nodes) < 2:
            self.nodes.append(self.cluster.add_node(num_cpus=1))

    def kill(self, pid: int) -> None:
        """Kill the node that runs this process, as when its power fails."""
        import psutil

        parents = {parent.pid for parent in psutil.Process(pid).parents()}
        for node in self.nodes:
            raylets = [one.process.pid for one in node.all_processes["raylet"]]
            if parents.intersection(raylets):
                self.nodes.remove(node)
                self.cluster.remove_node(node, allow_graceful=False)
                return
        raise AssertionError("no node runs this process")


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[TwoNodes]:
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "_system_config": QUICK_DEATH, "include_dashboard": False}
    cluster: Any = Cluster(initialize_head=True, head_node_args=head)
    try:
        with connected(cluster.address):  # once for all tests
            yield TwoNodes(cluster)
    finally:
        cluster.shutdown()


Opened = Callable[..., Backend]


@pytest.fixture
def open_backend(
    two_nodes: TwoNodes, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opened]:
    opened: list[Any] = []
    two_nodes.complete()
    monkeypatch.setattr(node_facts, "_SENT", (*node_facts._SENT, *TEST_VARIABLES))

    def make(fault: dict[str, Any] | None = None) -> Backend:
        for name, value in workplace.environment(fault).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(workplace.folder)  # which has packages with our packages' names
        settings = RaySettings(address=two_nodes.cluster.address)
        opened.append(settings.opened(gpu=None, results=workplace.folder))
        backend: Backend = opened[0].__enter__()
        return backend

    yield make
    for context in opened:
        context.__exit__(None, None, None)


class TestRay(BackendConformance):
    @pytest.fixture
    def open_backend(self, open_backend: Opened) -> Opened:
        return open_backend

    def test_the_cpus_of_all_nodes_are_slots(self, open_backend: Opened) -> None:
        assert open_backend().slots == 2


def running_on(workplace: Workplace, name: str) -> int:
    """The process of the trial that met the fault last."""
    return int((workplace.folder / f"met-{name}").read_text().splitlines()[-1])


def test_a_node_that_is_lost_before_a_value_means_another_attempt_on_another_node(
    two_nodes: TwoNodes, workplace: Workplace, job: Job, open_backend: Opened
) -> None:
    backend = open_backend({**STEPS, "name": "node", "act": "hang"})
    backend.begin_round()
    handle = backend.submit(job)
    wait_until(lambda: workplace.met("node") > 0, handle)
    two_nodes.kill(running_on(workplace, "node"))
    lost = handle.future.result(timeout=DEADLINE_S).outcome
    assert (lost.status, lost.cause) == ("lost", Cause.LOST_WORKER)
    again = ended(backend, job).outcome
    assert again.status == "finished"
    assert again.notes["node"].keys() == {"host", "cpu", "gpu"}


def test_a_timed_round_never_spans_two_nodes(
    two_nodes: TwoNodes, workplace: Workplace, job: Job, open_backend: Opened
) -> None:
    """After a trial of the round has ended on a node that is then lost, the round is incomplete."""
    backend = open_backend({**STEPS, "name": "span", "act": ["pass", "hang"]})
    backend.begin_round()
    assert ended(backend, job).outcome.status == "finished"
    handle = backend.submit(job)
    wait_until(lambda: workplace.met("span") > 1, handle)
    two_nodes.kill(running_on(workplace, "span"))
    first = handle.future.result(timeout=DEADLINE_S).outcome
    second = ended(backend, job).outcome
    assert (first.cause, second.cause) == (Cause.LOST_WORKER, Cause.LOST_WORKER)
    assert second.error == "the node of this round was lost, and a round has one node"
    backend.begin_round()
    assert ended(backend, job).outcome.status == "finished"


def test_jobs_that_are_not_timed_run_on_both_nodes_at_the_same_time(
    workplace: Workplace, job: Job, open_backend: Opened
) -> None:
    until = workplace.folder / "both-run"
    backend = open_backend({**STEPS, "name": "both", "act": "sleep", "times": 2, "until": str(until)})
    beside = job.model_copy(update={"side_by_side": True})
    handles = [backend.submit(beside) for _ in range(2)]
    wait_until(lambda: workplace.met("both") == 2, handles[0])
    until.touch()
    outcomes = [handle.future.result(timeout=DEADLINE_S).outcome for handle in handles]
    assert [outcome.status for outcome in outcomes] == ["finished", "finished"]
    assert outcomes[0].outputs == outcomes[1].outputs


def test_a_node_with_other_code_is_refused_before_anything_runs(
    open_backend: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = replace(facts_of_this_machine(), code="0" * 64)
    monkeypatch.setattr(ray_cluster, "facts_of_this_machine", lambda: facts)
    with pytest.raises(InputError, match="is not that of this machine: its digest is"):
        open_backend()


def test_a_folder_that_a_node_does_not_have_is_refused(
    two_nodes: TwoNodes, job: Job, open_backend: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before anything runs, and also later."""
    backend = open_backend()
    monkeypatch.setattr(cluster_backend, "nearest", lambda _: tmp_path / "only here")
    expected = "does not have the folder .*only here; --results must be on"
    with pytest.raises(InputError, match=expected):
        ended(backend, job)
    monkeypatch.setattr(ray_cluster, "nearest", lambda _: tmp_path / "only here")
    settings = RaySettings(address=two_nodes.cluster.address)
    with pytest.raises(InputError, match=expected), settings.opened(gpu=None, results=tmp_path):
        pass


def test_a_gpu_that_no_node_has_is_refused(two_nodes: TwoNodes, open_backend: Opened, tmp_path: Path) -> None:
    settings = RaySettings(address=two_nodes.cluster.address)
    with (
        pytest.raises(InputError, match="no node of the Ray cluster has a GPU; use --device cpu"),
        settings.opened(gpu="GPU-1", results=tmp_path),
    ):
        pass


def test_a_study_on_a_cluster_that_loses_a_node_has_the_numbers_of_one_machine(
    two_nodes: TwoNodes,
    workplace: Workplace,
    new_workplace: Callable[[], Workplace],
    open_backend: Opened,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same trials with the same ids. The attempt on the node that is lost, the first one after the
    lead-in of the round, is recorded.
    """
    here = new_workplace()
    assert here.harness(*LEAST).returncode == 0
    for name, value in workplace.environment({**STEPS, "name": "study", "act": "hang", "skip": 1}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAY_ADDRESS", two_nodes.cluster.address)
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_when_it_hangs, two_nodes, workplace, "study")
        done = workplace.asked(*LEAST, "--backend", "ray")
        killed.result(timeout=DEADLINE_S)
    assert done.exit_code == 0, done.output
    assert workplace.exact() == here.exact()
    assert "raylet" not in done.output
    lost = [row for row in workplace.trials(superseded=True) if row.state == "lost"]
    assert [(row.attempt, row.cause) for row in lost] == [(1, Cause.LOST_WORKER)]
    assert {row.spec_id for row in lost} <= set(workplace.finished())


def kill_when_it_hangs(two_nodes: TwoNodes, workplace: Workplace, name: str) -> None:
    """Kill the node of the second trial that meets the fault."""
    deadline = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while workplace.met(name) < 2:
        assert time.monotonic() < deadline
        pause.wait(0.05)
    two_nodes.kill(running_on(workplace, name))
