"""The checks of invariants on tiny models. They do not depend on a study, so trials share their results."""

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


def tiny_checks(invariant: Invariant[Any], level: str, job: Job) -> Iterator[Check]:
    """The checks of a level: those that an earlier trial saved in the job's shared folder, or new ones.

    Checks are saved when all of them are complete, whether they passed or not.
    """
    file = _shared_file(invariant, level, job)
    if file is None:
        yield from invariant.check(level)
        return
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            yield Check(**json.loads(line))
        return
    made = []
    for check in invariant.check(level):
        made.append(check)
        yield check
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.write_text("".join(f"{json.dumps(asdict(check))}\n" for check in made), encoding="utf-8")
    unfinished.replace(file)


def _shared_file(invariant: Invariant[Any], level: str, job: Job) -> Path | None:
    """The file for checks under equal conditions: same bug, device, threads and matrix-product library."""
    if not job.shared:
        return None
    alike = [invariant.name, level, job.plant, job.gpu, job.threads, job.task.products]
    return Path(job.shared) / f"{digest({'alike': alike})}.checks"
