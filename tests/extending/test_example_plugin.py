"""The example of a plug-in: its own model with its own cache, an optimizer, a metric and an invariant.

It is used in three ways: in this process, by a study with `--plugin`, and installed in a fresh environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.config import digest
from harness.errors import InputError
from harness.invariants.registry import INVARIANTS
from harness.invariants.subjects import DecodingSubject
from harness.models.config import LossConfig
from harness.models.cost import parameter_count
from harness.models.decoding.config import BeamSearch, Decoding, Greedy, Sampling, Speculative
from harness.models.decoding.decode import decode
from harness.models.decoding.speculative import TargetAndDraft
from harness.models.init import build_model
from harness.models.own import OwnDecoder
from harness.plugins import PLUGINS_VARIABLE, using
from harness.tasks.base import Context
from harness.tasks.generate import Generate
from harness.tasks.train import Train
from harness.training.checkpoint import load_model
from harness.training.models import MODELS
from harness.training.objective import Objective
from tests.support.plugins import importable

EXAMPLE = Path(__file__).parent / "example_plugin"
MODULES = ["plain_gpt", *(f"plain_gpt.{file.stem}" for file in (EXAMPLE / "plain_gpt").glob("[a-z]*.py"))]
SIZES: dict[str, Any] = {"vocab_size": 13, "max_positions": 24, "width": 16, "heads": 2, "layers": 2}
RECIPE = """\
corpus: python-docs
tokenizer: {kind: bytes}
model: {kind: plain-gpt, max_positions: 384, width: 16, heads: 2, layers: 2}
batch: 4
length: 32
updates: 4
optimizer: {kind: sign, lr: 1e-3}
schedule: {kind: cosine, warmup: 1}
evaluate_every: 2
evaluation_tokens: 256
"""


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example, as a module in this process."""
    monkeypatch.delenv(PLUGINS_VARIABLE, raising=False)
    with importable(EXAMPLE, *MODULES), using(["plain_gpt"]):
        yield


def model(seed: int = 0) -> OwnDecoder:
    """A model with random weights that are large enough to matter."""
    config = MODELS["plain-gpt"].model_validate(SIZES)
    built: OwnDecoder = build_model(config, seed, dtype=torch.float64).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(3)
    return built


def subject(cache: Any = "dynamic") -> DecodingSubject:
    return DecodingSubject(model=model(), tokens=torch.arange(12).view(3, 4), new_tokens=8, cache=cache)


def test_the_closed_forms_are_those_of_the_model() -> None:
    assert parameter_count(model().config) == sum(parameter.numel() for parameter in model().parameters())
    assert all(check.passed for check in INVARIANTS["cache-bytes"].check_subject(subject()))


@pytest.mark.parametrize("decoding", [Greedy(), BeamSearch(width=3), Sampling()])
@pytest.mark.parametrize("padding", [0, 2])
def test_every_decoder_writes_the_same_with_the_cache_of_the_model(decoding: Decoding, padding: int) -> None:
    prompts = torch.arange(12).view(3, 4)
    valid = torch.ones_like(prompts, dtype=torch.bool)
    valid[0, :padding] = False
    settings: dict[str, Any] = {"new_tokens": 8, "end": 1, "valid": valid if padding else None}
    without, cached = (
        decode(model(), prompts, decoding, cache=kind, **settings) for kind in ("none", "dynamic")
    )
    assert without == cached
    assert len({*map(tuple, cached)}) > 1


def test_a_decoder_that_needs_more_of_a_cache_says_so() -> None:
    pair = TargetAndDraft(target=model(), draft=model(seed=1))
    prompts = torch.arange(12).view(3, 4)
    with pytest.raises(NotImplementedError, match="cannot be rolled back"):
        decode(pair, prompts, Speculative(draft_tokens=2), new_tokens=8, cache="dynamic")


@pytest.mark.parametrize("name", ["cache-parity", "cache-bytes", "causality", "one-token-at-a-time"])
@pytest.mark.parametrize("cache", ["none", "dynamic"])
def test_the_invariants_of_decoding_hold(name: str, cache: str) -> None:
    checks = list(INVARIANTS[name].check_subject(subject(cache)))
    assert checks
    assert [check.detail for check in checks if not check.passed] == []


def test_a_bug_in_the_cache_of_the_model_is_detected() -> None:
    with INVARIANTS["one-token-at-a-time"].planted_bug("stale-key").plant():
        for name in ("cache-parity", "one-token-at-a-time"):
            assert not all(check.passed for check in INVARIANTS[name].check_subject(subject()))
        assert not all(check.passed for check in INVARIANTS["one-token-at-a-time"].check())
    assert all(check.passed for check in INVARIANTS["one-token-at-a-time"].check())


def test_what_a_config_builds_must_be_decodable(monkeypatch: pytest.MonkeyPatch) -> None:
    config = MODELS["plain-gpt"].model_validate(SIZES)
    monkeypatch.setattr(type(config), "build", lambda _: torch.nn.Linear(1, 1))
    with pytest.raises(TypeError, match=r"PlainGPTConfig.build gave a Linear, which is no OwnDecoder"):
        build_model(config, 0)


@pytest.mark.parametrize("name", ["tied-embeddings", "loss-closed-form"])
def test_an_invariant_of_parts_of_the_transformer_says_that_it_cannot_check_the_model(name: str) -> None:
    with pytest.raises(InputError, match="checks parts of the transformer, and 'plain-gpt' has others"):
        list(INVARIANTS[name].check_subject(subject()))


def test_chunked_logits_have_the_loss_of_all_logits_at_once() -> None:
    batch = (torch.arange(12).view(3, 4), torch.arange(12).view(3, 4).roll(-1, dims=1))
    chunked = LossConfig.model_validate({"logits": {"kind": "chunked"}})
    losses = [Objective(model(), settings).mean_loss(batch) for settings in (chunked, LossConfig())]
    assert losses[0].mean == losses[1].mean
    expected = torch.nn.functional.cross_entropy(model()(batch[0]).flatten(0, 1), batch[1].flatten())
    assert losses[0].mean.item() == pytest.approx(expected.item(), rel=1e-6)


def test_it_is_trained_stored_and_decoded_by_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ruamel.yaml import YAML

    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    train = Train.read(json.loads(json.dumps(YAML(typ="safe").load(RECIPE))))
    folder = tmp_path / "model"
    context = Context(seed=0, device="cpu", checkpoints={digest(train.plain()): str(folder)})
    values: dict[str, list[float]] = {}
    train.run(context, lambda name, value, _=0: values.setdefault(name, []).append(value))
    assert values["validation_loss"][-1] < values["validation_loss"][0]
    assert type(load_model(folder, train.model)).__name__ == "PlainGPT"
    generate = Generate.read(
        {
            "model": {"recipe": "plain", "train": train.plain()},
            "prompts": {"corpus": "python-docs", "split": "test", "count": 2, "tokens": 8},
            "new_tokens": 8,
            "cache": "dynamic",
        }
    )
    written: dict[str, float] = {}
    generate.run(context, lambda name, value, _=0: written.update({name: value}))
    assert written["cache_bytes"] == written["cache_bytes_formula"] == 2 * 2 * 2 * 16 * 15 * 4


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**variables, "HARNESS_CACHE": str(folder / "cache"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_shipped_studies_run_on_it_in_a_fresh_environment(tmp_path: Path) -> None:
    """`kv_cache` and `optimizers` run unchanged: a recipe and `--set` name the model."""
    _run([sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", "fresh"], tmp_path, {})
    python = str(tmp_path / "fresh" / "bin" / "python")
    inherited = os.pathsep.join(path for path in sys.path if path and path != str(EXAMPLE))
    pip = [python, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", str(EXAMPLE)]
    _run(pip, tmp_path, {"PYTHONPATH": inherited})
    recipes = tmp_path / "studies" / "recipes"
    recipes.mkdir(parents=True)
    (recipes / "plain.yaml").write_text(RECIPE, encoding="utf-8")
    harness = [python, "-c", "from harness.cli import main; main()"]

    def run(*arguments: str) -> Any:
        return json.loads(_run([*harness, *arguments, "--json"], tmp_path, {"PYTHONPATH": inherited}))

    added = {(row["group"], row["name"]): row for row in run("plugins")}
    assert {key for key, row in added.items() if row["refused"] is None} == {
        ("models", "plain-gpt"),
        ("optimizers", "sign"),
        ("metrics", "generalisation_gap"),
        ("invariants", "one-token-at-a-time"),
    }
    assert {(row["package"], row["version"]) for row in added.values()} == {("plain-gpt", "0.1.0")}
    documents = ["--set", "base.prompts.corpus=python-docs"]
    result = run("run", "kv_cache", "--scale", "smoke", "--set", "base.model.recipe=plain", *documents)
    verdicts = {claim["id"]: claim["verdict"] for claim in result["claims"]}
    assert (verdicts["kv-same"], verdicts["kv-memory"]) == ("confirmed", "confirmed")
    gpt = "{kind: plain-gpt, max_positions: 64, width: 16, heads: 2, layers: 1}"
    ours = ["--set", f"base.model={gpt}", "--set", "base.corpus=python-docs"]
    bytes_ = ["--set", "base.tokenizer={kind: bytes}"]
    assert run("run", "optimizers", "--scale", "smoke", *ours, *bytes_)["failed"] == []
