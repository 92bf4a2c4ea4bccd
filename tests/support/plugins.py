"""Plug-ins for tests: packages that look installed, and modules."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

OPTIMIZER = '''
from typing import Literal

from harness.training.optim import OptimizerSettings, parameter_groups


class SignDescent(OptimizerSettings):
    """p ← p − lr · sign(g)."""

    kind: Literal["sign"] = "sign"
    momentum: float = 0.0

    def build(self, model):
        import torch

        class Sign(torch.optim.Optimizer):
            @torch.no_grad()
            def step(self):
                for group in self.param_groups:
                    for parameter in group["params"]:
                        if parameter.grad is not None:
                            parameter.sub_(group["lr"] * parameter.grad.sign())

        return Sign(parameter_groups(model, self.weight_decay), {"lr": self.lr})
'''
METRIC = """
from harness.metrics import DerivedMetric

generalisation_gap = DerivedMetric(
    name="generalisation_gap",
    unit="nats/token",
    better="lower",
    compared_by="differences",
    paired_over="seeds",
    margin=0.5,
    margin_group="gap",
    per_trial="last",
    summary="validation loss minus training loss",
    computed_from=("validation_loss", "loss"),
    compute=lambda validation, training: validation - training,
)
"""


def write_module(folder: Path, name: str, *texts: str) -> Path:
    """A module in a folder. Texts may be indented."""
    path = folder / f"{name}.py"
    path.write_text("\n".join(map(dedent, texts)), encoding="utf-8")
    return path


def install(folder: Path, package: str, points: Mapping[str, str], version: str = "1.0") -> None:
    """Make the folder look like one into which a package with these entry points was installed: the line of
    each, by its group.
    """
    about = folder / f"{package}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", encoding="utf-8"
    )
    lines = [f"[harness.{group}]\n{dedent(text).strip()}\n" for group, text in points.items()]
    (about / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


@contextmanager
def importable(folder: Path, *modules: str) -> Iterator[None]:
    """In this context, the modules of a folder can be imported. Afterwards they have never been."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in modules:
            sys.modules.pop(name, None)
