"""An optimizer and a metric are added to a copy of the harness, in the files that docs/extending.md names.

The additions are appended to those files. Tests of forms of claim and of parts of the model are
`test_form_of_claim.py` and `test_part_of_the_model.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

import harness
from harness.run import lease
from tests.support.tiny_study import RECIPE

ADDITIONS = {
    "training/optim/first_order.py": '''
class SignDescent(OptimizerSettings):
    """p ← p − lr · sign(g)."""

    kind: Literal["sign"] = "sign"

    def build(self, model: nn.Module) -> Optimizer:
        from torch import no_grad
        from torch.optim import Optimizer

        class Sign(Optimizer):
            @no_grad()
            def step(self):
                for group in self.param_groups:
                    for parameter in group["params"]:
                        if parameter.grad is not None:
                            parameter.sub_(group["lr"] * parameter.grad.sign())

        return Sign(parameter_groups(model, self.weight_decay), {"lr": self.lr})
''',
    "training/optim/__init__.py": """
from typing import get_args

from harness.training.optim.first_order import SignDescent

OptimizerConfig = Annotated[get_args(OptimizerConfig)[0] | SignDescent, Field(discriminator="kind")]
""",
    "metrics.py": """
_ADDED = _figure(name="seed_squared", summary="a square", better="lower")
METRICS = Registry("metrics", {**METRICS.shipped, "seed_squared": _ADDED}, "a Metric", _named)
""",
    "tasks/train.py": """
_run = Train.run


def _run_and_report(self, context, record):
    record("seed_squared", float(context.seed**2))
    return _run(self, context, record)


Train.metrics = (*Train.metrics, "seed_squared")
Train.run = _run_and_report
""",
}

STUDY = f"""\
study: added
question: Does the new optimizer train?
task: train
base:
{indent(RECIPE, "  ")}compare:
  optimizer: [{{adamw: {{}}}}, {{sign: {{optimizer: {{kind: sign, lr: 1e-3}}}}}}]
design: {{seeds: 3, exploratory: true}}
primary: validation_loss
margins: {{seed_squared: 0.5}}
claims:
  squared:
    source: here
    says: The metric is compared.
    level: {{optimizer: sign}}
    metric: seed_squared
    no_difference: true
"""


@pytest.fixture
def extended(tmp_path: Path) -> Path:
    """A folder with a copy of the package that has the additions."""
    shutil.copytree(
        Path(harness.__file__).parent, tmp_path / "harness", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name, addition in ADDITIONS.items():
        with (tmp_path / "harness" / name).open("a", encoding="utf-8") as file:
            file.write(addition)
    return tmp_path


@pytest.mark.slow
def test_an_optimizer_and_a_metric_are_two_files_each(extended: Path) -> None:
    (extended / "added.yaml").write_text(STUDY, encoding="utf-8")
    program = (
        "import harness.run.lease; assert harness.__file__.startswith({!r}); harness.run.lease.NAME = {!r}; "
        "from harness.cli import main; main()"
    )
    lease_name = f"{lease.NAME}-{os.getpid()}"  # so that it waits for no other measurement on the machine
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            program.format(str(extended), lease_name),
            "run",
            "added.yaml",
            "--json",
            "--no-report",
        ],
        cwd=extended,
        env={**os.environ, "PYTHONPATH": str(extended)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    (claim,) = json.loads(run.stdout)["claims"]
    assert (claim["id"], claim["n"], claim["effect"]) == ("squared", 3, 0.0)
