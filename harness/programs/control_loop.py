"""A benchmark that no change of the working tree can touch, before the program that follows `--`. Folders
before `--` are added to the path of that program's Python.

This file is run by its path and imports nothing of the harness: the working tree may be a harness itself.
"""

from __future__ import annotations

import json
import os
import sys
import time

REPEATS, NUMBERS = 9, 200_000


def main(folders: list[str], words: list[str]) -> None:
    """Time a loop, print the seconds of each repetition, and become the program."""
    for _ in range(REPEATS):
        started = time.perf_counter()
        total = 0
        for number in range(NUMBERS):
            total += number * number
        seconds = time.perf_counter() - started
        sys.stdout.write(json.dumps({"metric": "control_loop_seconds", "value": seconds}) + "\n")
    sys.stdout.flush()
    paths = [*filter(None, [os.environ.get("PYTHONPATH")]), *folders]
    if paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.execvp(words[0], words)


if __name__ == "__main__":
    end = sys.argv.index("--")
    main(sys.argv[1:end], sys.argv[end + 1 :])
