"""The processes of a trial that runs on several devices: the ranks of a process group of torch.

The launcher of torchrun starts them from inside the trial, by `fork`. A fork takes a tenth of a second, while
a new interpreter takes some seconds to import torch. The process that forks must not have computed anything,
because the threads of its products would not exist in a fork.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.errors import HarnessError
from harness.machine.visible_gpus import VISIBLE_GPUS
from harness.trial.causes import Cause, cause_of_error

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

T = TypeVar("T")
LOOK_S = 0.02
"""The seconds between two looks at whether a rank has ended."""


class RankError(HarnessError):
    """A rank raised an exception or was killed. The launcher has ended all others."""

    def __init__(self, message: str, trace: str = "", cause: Cause = Cause.ERROR) -> None:
        super().__init__(message)
        self.trace, self.cause = trace, cause


def in_ranks(count: int, function: Callable[[int], T], folder: Path, *, gpus: tuple[str, ...] = ()) -> T:
    """Call a function with 0, 1, … in `count` forked processes, which are ranks of a process group (gloo for
    CPUs, NCCL for `gpus`, of which rank r uses number r). Returns what rank 0 returned.

    What a rank raises is raised here as RankError, and the other ranks are killed.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    folder.mkdir(parents=True, exist_ok=True)
    if gpus:
        os.environ[VISIBLE_GPUS] = ",".join(gpus)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=folder.name,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=LOOK_S,
        start_method="fork",
        logs_specs=DefaultLogsSpecs(log_dir=str(folder / "logs")),
    )
    try:
        returned = elastic_launch(config, _rank)(function, str(folder), "nccl" if gpus else "gloo")
    except ChildFailedError as error:
        raise _first_failure(error, folder) from None
    result: T = returned[0]
    return result


def _rank(function: Callable[[int], T], folder: str, backend: str) -> T:
    """What one of the processes does."""
    from torch import cuda, distributed

    rank = int(os.environ["RANK"])
    try:
        if backend == "nccl":
            cuda.set_device(rank)
        else:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        distributed.init_process_group(backend)
        result = function(rank)
        distributed.barrier()  # nobody leaves while another rank still reads from it
        distributed.destroy_process_group()
    except Exception as error:
        message = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
        failure = {"message": message, "trace": traceback.format_exc(), "cause": cause_of_error(error)}
        _failure_file(Path(folder), rank).write_text(json.dumps(failure), encoding="utf-8")
        raise
    return result


def _first_failure(error: ChildFailedError, folder: Path) -> RankError:
    """The failure of the rank that failed first; others fail because it is gone."""
    files = [(path.stat().st_mtime_ns, path) for path in folder.glob("rank-*.json")]
    rank, failure = error.get_first_failure()
    if failure.exitcode < 0:
        return RankError(f"rank {rank} was killed by {failure.signal_name()}", cause=Cause.KILLED)
    _, path = min(files, default=(0, _failure_file(folder, rank)))
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return RankError(f"rank {rank} ended with exit status {failure.exitcode}", cause=Cause.NO_RESULT)
    number = path.stem.partition("-")[2]
    return RankError(f"rank {number}: {written['message']}", written["trace"], Cause(written["cause"]))


def _failure_file(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.json"
