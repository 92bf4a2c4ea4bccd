"""The examples of docs/exports.md run with the libraries that they are about, without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = re.findall(
    r"```python\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "exports.md").read_text(encoding="utf-8"),
    re.DOTALL,
)
SAMPLES = """trial,arm,condition,seed,round,metric,step,value
1,lr=0.1,{},0,0,loss,0,3.5
1,lr=0.1,{},0,0,loss,1,2.5
2,lr=0.2,{},0,0,loss,0,3.25
"""


def libraries(example: str) -> list[str]:
    return re.findall(r"^import (\w+)", example, re.MULTILINE)


def test_there_is_an_example_for_each_library() -> None:
    assert {name for example in EXAMPLES for name in libraries(example)} == {"mlflow", "pandas", "wandb"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: "-".join(libraries(example)))
def test_an_example_runs_offline(example: str, tmp_path: Path) -> None:
    if missing := [name for name in libraries(example) if find_spec(name) is None]:
        pytest.skip(f"{', '.join(missing)} is not installed")
    (tmp_path / "samples.csv").write_text(SAMPLES)
    environment = {**os.environ, "WANDB_MODE": "offline", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", example],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mlflow.db").exists() or list((tmp_path / "wandb").glob("offline-run-*"))
