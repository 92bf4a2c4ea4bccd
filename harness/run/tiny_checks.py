"""Checks on tiny models, which know nothing of a study: made once, and told of every arm and part that they
concern.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.config import digest
from harness.invariants.base import Check, Invariant
from harness.run.job import Job
from harness.tasks.registry import task_class


def tiny_checks(invariant: Invariant[Any], level: str, job: Job) -> Iterator[Check]:
    """The checks of a level as `invariant.check` gives them; as an earlier trial left them where one shares
    the job's folder.

    Only checks that came to their end are left for others, passed or not.
    """
    kept = _kept(invariant, level, job)
    if kept is None:
        yield from invariant.check(level)
        return
    if kept.exists():
        for line in kept.read_text(encoding="utf-8").splitlines():
            yield Check(**json.loads(line))
        return
    made = []
    for check in invariant.check(level):
        made.append(check)
        yield check
    unfinished = kept.with_name(f"{kept.name}.{os.getpid()}")
    unfinished.write_text("".join(f"{json.dumps(asdict(check))}\n" for check in made), encoding="utf-8")
    unfinished.replace(kept)


def _kept(invariant: Invariant[Any], level: str, job: Job) -> Path | None:
    """One file for all that is checked alike: by the same code with the same bug, threads and library for
    products.
    """
    if not job.shared:
        return None
    products = task_class(job.spec.config["task"]).products
    alike = [invariant.name, level, job.plant, job.gpu, job.threads, products]
    return Path(job.shared) / f"{digest({'alike': alike})}.checks"
