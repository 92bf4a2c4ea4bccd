"""A newcomer's norm: its config and its module, two files, and the property test finds it by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = '''
class PowerNorm(Frozen):
    """x / mean(|x|), with a gain."""

    kind: Literal["power"] = "power"
    eps: PositiveFloat = 1e-6

    def parameters(self, width: int) -> int:
        return width


Norm = Annotated[PowerNorm | '''
MODULE = """
import torch

from harness.models.self_initialised import AtRest
from harness.models.config.norm import PowerNorm


class Power(AtRest):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.gain, self.eps = nn.Parameter(torch.empty(width)), eps

    def reset_parameters(self) -> None:
        nn.init.ones_(self.gain)

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x / (x.abs().mean(-1, keepdim=True) + self.eps)


def build_norm("""
CASE = """    match norm:
        case PowerNorm():
            return Power(width, norm.eps)
"""
TRIED = """
import importlib.util, pathlib, sys
from hypothesis import HealthCheck, Phase, given, settings
import harness.models.config

file, folder = map(pathlib.Path, sys.argv[1:])
assert pathlib.Path(models.__file__).is_relative_to(folder)
spec = importlib.util.spec_from_file_location("combinations", file)
test = importlib.util.module_from_spec(spec)
spec.loader.exec_module(test)
often = settings(
    max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None,
    phases=[Phase.generate],
)
kinds = []
often(given(test.drawn(models.config.Norm))(lambda norm: kinds.append(norm["kind"])))()
assert "power" in kinds


def try_it(document):
    config = test.read_or_refused({**document, "norm": {"kind": "power"}})
    if config is not None:
        test.it_trains_decodes_and_round_trips(config, 0, cache="static", folder=folder / "kept")


often(given(test.drawn(test.AnyModelConfig))(try_it))()
"""


def tried(folder: Path, *, wrong: tuple[str, str] = ("", "")) -> subprocess.CompletedProcess[str]:
    """The copy of `models` in a folder with the norm added, `wrong` said in place of what is right."""
    shutil.copytree(ROOT / "models", folder / "models", ignore=shutil.ignore_patterns("__pycache__"))
    for file, edits in {
        "config/norm.py": [("\nNorm = Annotated[", CONFIG.replace(*wrong))],
        "norm.py": [("\ndef build_norm(", MODULE.replace(*wrong)), ("    match norm:\n", CASE)],
    }.items():
        path = folder / "models" / file
        text = path.read_text()
        for old, new in edits:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path.write_text(text)
    property_test = Path(__file__).with_name("test_every_combination.py")
    return subprocess.run(
        [sys.executable, "-c", TRIED, str(property_test), str(folder)],
        env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_property_test_finds_a_new_norm_and_it_passes(tmp_path: Path) -> None:
    found = tried(tmp_path)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("return width", "return 2 * width"), "assert parameter_count(config) == sum("),
        (("Power(AtRest)", "Power(nn.Module)"), "has parameters, but no initialisation"),
    ],
    ids=["counts another number", "says not where it starts"],
)
def test_a_new_norm_with_a_mistake_fails(wrong: tuple[str, str], said: str, tmp_path: Path) -> None:
    found = tried(tmp_path, wrong=wrong)
    assert found.returncode == 1
    assert said in found.stderr
