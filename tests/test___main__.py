"""`python -m harness` is the command, whatever its program is called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_package_can_be_executed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout.split()[0]) == (0, "transformer-harness"), done.stderr
