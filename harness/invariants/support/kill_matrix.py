"""All invariants at once, and the kill matrix: each planted bug against the checks that must find it.

Everything is examined in a process of its own, forked from a server that has imported torch and computed
nothing: what is planted in one is never seen by another.
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
from harness.machine.environment import available_cores


@dataclass(frozen=True, kw_only=True)
class Examined:
    """An invariant without any bug, at all of its levels.

    `worst` is the check nearest to its tolerance, or beyond it.
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
    """A planted bug: the first failed check at each level that it concerns, None at a level where it
    survived.
    """

    invariant: str
    mutant: str
    found: dict[str, str | None]
    seconds: float

    @property
    def killed(self) -> bool:
        return bool(self.found) and all(self.found.values())


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """`kills` is empty where no bugs were planted."""

    examined: tuple[Examined, ...]
    kills: tuple[Kill, ...]

    @property
    def broken(self) -> list[str]:
        return [each.invariant for each in self.examined if not each.holds]

    @property
    def survivors(self) -> list[str]:
        return [f"{kill.invariant}/{kill.mutant}" for kill in self.kills if not kill.killed]


def kill_matrix(
    names: Iterable[str], *, mutants: bool = False, done: Callable[[int, int], None] | None = None
) -> Matrix:
    """Examine invariants, and with `mutants` plant every bug of theirs. `done` hears how many jobs of all
    have ended.

    Raises InputError for an unknown name, before anything runs.
    """
    invariants = [find_invariant(name) for name in names]
    planted = [(each.name, mutant.name) for each in invariants for mutant in each.mutants if mutants]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "harness.invariants.registry"])
    with ProcessPoolExecutor(available_cores(), mp_context=context, max_tasks_per_child=1) as pool:
        holding = [pool.submit(examine, each.name) for each in invariants]
        killing = [pool.submit(plant, *each) for each in planted]
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
    """How many have ended, each time that one has. What one of them raised is raised."""
    for count, future in enumerate(as_completed(futures), start=1):
        future.result()
        yield count


def examine(name: str) -> Examined:
    """The checks of an invariant at every level, in this process."""
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


def plant(name: str, bug: str) -> Kill:
    """Plant a bug and look for it at every level that it concerns, in this process."""
    _one_thread()
    started = time.perf_counter()
    invariant = find_invariant(name)
    mutant = next(each for each in invariant.mutants if each.name == bug)
    found: dict[str, str | None] = {}
    with mutant.plant():
        for level in mutant.levels:
            failed = (check for check in invariant.check(level) if not check.passed)
            found[level] = next((f"{check.case} in {check.precision}" for check in failed), None)
    return Kill(invariant=name, mutant=bug, found=found, seconds=time.perf_counter() - started)


def _nearness(check: Check) -> tuple[bool, float]:
    """How near to its tolerance a check came; those that failed first, then those with a tolerance of nothing
    last.
    """
    return not check.passed, check.deviation / check.tolerance if check.tolerance else 0.0


def _one_thread() -> None:
    """These models are tiny, and several processes share the cores."""
    import torch

    torch.set_num_threads(1)
