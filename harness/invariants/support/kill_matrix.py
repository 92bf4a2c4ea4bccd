"""Checks of all invariants at once, and the kill matrix: each planted bug with the checks that must find it.

Each invariant and each bug gets a process of its own, so that a planted bug affects nothing else. The
processes are forked from a server that has imported torch and computed nothing.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from harness.invariants.base import Check
from harness.invariants.registry import find_invariant
from harness.machine.environment import usable_cores


@dataclass(frozen=True, kw_only=True)
class Examined:
    """The checks of an invariant at all of its levels, without a planted bug.

    `worst` is the check that came nearest to its tolerance, or went furthest beyond it.
    """

    invariant: str
    checks: int
    failed: int
    compared: int
    skipped: int
    worst: Check
    seconds: float

    @property
    def holds(self) -> bool:
        return not self.failed and self.compared > 0


@dataclass(frozen=True, kw_only=True)
class Kill:
    """A planted bug, and the first failed check at each level that it concerns, or None at a level where no
    check failed.
    """

    invariant: str
    bug: str
    first_failures: dict[str, str | None]
    seconds: float

    @property
    def killed(self) -> bool:
        return bool(self.first_failures) and all(self.first_failures.values())


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """`kills` is empty if no bugs were planted."""

    examined: tuple[Examined, ...]
    kills: tuple[Kill, ...]

    @property
    def broken(self) -> list[str]:
        return [examined.invariant for examined in self.examined if not examined.holds]

    @property
    def survivors(self) -> list[str]:
        return [f"{kill.invariant}/{kill.bug}" for kill in self.kills if not kill.killed]


def kill_matrix(
    names: Iterable[str], *, plant_bugs: bool = False, done: Callable[[int, int], None] | None = None
) -> Matrix:
    """Check invariants, and with `plant_bugs` also plant each of their bugs. `done` is called with the number
    of jobs that have ended and the number of all jobs.

    Raises InputError for an unknown name, before anything runs.
    """
    invariants = [find_invariant(name) for name in names]
    bugs = [(owner.name, bug.name) for owner in invariants for bug in owner.planted_bugs if plant_bugs]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "harness.invariants.registry"])
    with ProcessPoolExecutor(usable_cores(), mp_context=context, max_tasks_per_child=1) as pool:
        holding = [pool.submit(examine, invariant.name) for invariant in invariants]
        killing = [pool.submit(plant, *bug) for bug in bugs]
        try:
            for count in _ended([*holding, *killing]):
                if done is not None:
                    done(count, len(holding) + len(killing))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Matrix(
        examined=tuple(future.result() for future in holding),
        kills=tuple(future.result() for future in killing),
    )


def _ended(futures: list[Future[Any]]) -> Iterator[int]:
    """The number of futures that have ended, each time that one ends. Raises what one of them raised."""
    for count, future in enumerate(as_completed(futures), start=1):
        future.result()
        yield count


def examine(name: str) -> Examined:
    """Check an invariant at every level, in this process."""
    _one_thread()
    started = time.perf_counter()
    invariant = find_invariant(name)
    checks = [check for level in invariant.levels for check in invariant.check(level)]
    return Examined(
        invariant=name,
        checks=len(checks),
        failed=sum(not check.passed for check in checks),
        compared=sum(check.compared for check in checks),
        skipped=sum(check.skipped for check in checks),
        worst=max(checks, key=_nearness),
        seconds=time.perf_counter() - started,
    )


def plant(name: str, bug_name: str) -> Kill:
    """Plant a bug and check the invariant at every level that the bug concerns, in this process."""
    _one_thread()
    started = time.perf_counter()
    invariant = find_invariant(name)
    bug = invariant.planted_bug(bug_name)
    first_failures: dict[str, str | None] = {}
    with bug.plant():
        for level in bug.levels:
            failed = (check for check in invariant.check(level) if not check.passed)
            first_failures[level] = next((f"{check.case} in {check.precision}" for check in failed), None)
    seconds = time.perf_counter() - started
    return Kill(invariant=name, bug=bug_name, first_failures=first_failures, seconds=seconds)


def _nearness(check: Check) -> tuple[bool, float]:
    """How near a check came to its tolerance. Failed checks come first, and checks with tolerance 0 last."""
    return not check.passed, check.deviation / check.tolerance if check.tolerance else 0.0


def _one_thread() -> None:
    """The models are tiny, and several processes share the cores."""
    import torch

    torch.set_num_threads(1)
