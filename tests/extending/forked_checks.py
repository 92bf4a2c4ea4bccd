"""Runs `check_added_part.py` once per copy of the harness, each time in a fork of one process that has
imported what all of them need, because that takes longer than most of the checks.

Run as a program with a part, its new kind and the folder of its copy, as often as there are copies. What a
check prints to standard error goes to the file `errors` in its folder, and its exit status to `status`.
"""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from pathlib import Path

import hypothesis.strategies  # noqa: F401  imported here and shared by every fork
import torch._dynamo


def check(part: str, kind: str, folder: Path) -> int:
    """The exit status of a fork that checks the part in its copy of the harness."""
    pid = os.fork()
    if not pid:
        os._exit(_status(part, kind, folder))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _status(part: str, kind: str, folder: Path) -> int:
    sys.path.insert(0, str(folder))
    sys.argv[1:] = [part, kind, str(folder)]
    os.chdir(folder)
    with (folder / "errors").open("w") as sys.stderr:
        try:
            runpy.run_module("tests.extending.check_added_part", run_name="__main__")
        except BaseException:  # noqa: BLE001  this process ends here and must say why
            traceback.print_exc()
            return 1
    return 0


if __name__ == "__main__":
    assert "harness" not in sys.modules
    torch.set_num_threads(1)
    words = iter(sys.argv[1:])
    for part, kind, folder in zip(words, words, words, strict=True):
        (Path(folder) / "status").write_text(str(check(part, kind, Path(folder))))
