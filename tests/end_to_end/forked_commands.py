"""Runs commands of the harness, each in a fork of one process that has imported what they need, because that
takes longer than a search of tiny models.

Each line of standard input is a list of arguments as JSON. The answers are two lines: the id of the process
of the command, and, as soon as it has ended, its exit status. What a command prints goes to the files
`output` and `errors`. Trainings are real, but they run in the process of the command, so that they end with
it, and they do not look for the peak of the machine, which takes longer than they do.
"""

from __future__ import annotations

import json
import os
import sys

import alembic.command  # noqa: F401  imported here and shared by every fork, as others are
import optuna.storages._rdb.models  # noqa: F401
import torch._dynamo

import harness.cli.searching
import harness.machine.matmul
import harness.models.init
import harness.report.build
import harness.run.backends.local
import harness.search.programme
import harness.search.storage
import harness.training.loop
from harness.cli.app import app
from tests.end_to_end.in_process import InProcess


def command(arguments: list[str]) -> None:
    pid = os.fork()
    if not pid:
        for stream, name in ((1, "output"), (2, "errors")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        try:
            app(arguments)
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(int(end.code or 0))
        os._exit(70)
    print(pid, flush=True)  # noqa: T201
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201


if __name__ == "__main__":
    torch.set_num_threads(1)
    harness.machine.matmul.ENOUGH_SECONDS = 0.0
    harness.run.backends.local.LocalBackend = InProcess  # type: ignore[misc]
    for line in sys.stdin:
        command(json.loads(line))
