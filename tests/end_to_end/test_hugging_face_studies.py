"""The shipped studies run on models of transformers: a recipe and `--set` name the model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from harness.run import lease
from harness.study.shipped import SHIPPED
from tests.models.hugging_face.tiny import ARCHITECTURES, model

RECIPE = """\
corpus: python-docs
tokenizer: {{kind: bytes}}
model: {model}
batch: 4
length: 32
updates: {updates}
optimizer: {{kind: adamw, lr: 1e-3}}
schedule: {{kind: constant}}
evaluation_tokens: 512
"""
PROMPTS = "base.prompts.corpus=python-docs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a checkpoint, and a recipe for it and one for random weights."""
    decoder: Any = model("llama", dtype=torch.float32, vocab_size=300, max_positions=384)
    decoder.model.save_pretrained(tmp_path / "checkpoint")
    recipes = tmp_path / "studies" / "recipes"
    recipes.mkdir(parents=True)
    random = json.dumps({"kind": "hf", "architecture": ARCHITECTURES["gpt2"], "max_positions": 384})
    (recipes / "random.yaml").write_text(RECIPE.format(model=random, updates=2))
    (recipes / "stored.yaml").write_text(RECIPE.format(model="{kind: hf, checkpoint: checkpoint}", updates=0))
    return tmp_path


def verdicts(folder: Path, study: str, *settings: str) -> dict[str, str]:
    """Those of all claims at scale smoke. No trial may fail. Other processes are not waited for."""
    program = f"import harness.run.lease as l; l.NAME = {lease.NAME!r}; from harness.cli import main; main()"
    changes = [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, "run", study, "--scale", "smoke", "--json", *changes],
        cwd=folder,
        env={**os.environ, "HARNESS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    parts = result.get("parts", [result])
    assert [part["failed"] for part in parts] == [[]] * len(parts)
    return {claim["id"]: claim["verdict"] for part in parts for claim in part["claims"]}


@pytest.mark.slow
def test_kv_cache_measures_a_checkpoint_as_it_is(folder: Path) -> None:
    untrained = "base.model.train={updates: 0, schedule: {warmup: 0}}"
    claims = verdicts(folder, "kv_cache", "base.model.recipe=stored", PROMPTS, untrained)
    assert (claims["kv-same"], claims["kv-memory"]) == ("confirmed", "confirmed")


@pytest.mark.slow
def test_decoding_continues_text_with_random_weights(folder: Path) -> None:
    """The two parts with a language model; the others translate."""
    yaml = YAML()
    study = yaml.load((SHIPPED / "decoding.yaml").read_text(encoding="utf-8"))
    for parts in (study["parts"], study["scales"]["smoke"]["parts"]):
        del parts["quality"], parts["cost"]
    del study["scales"]["gpu"]
    for part in study["parts"].values():
        part["base"] |= {"model": {"recipe": "random"}, "draft": {"recipe": "random"}}
        part["base"]["prompts"]["corpus"] = "python-docs"
    study["scales"]["smoke"]["parts"]["speculation"]["base"]["draft"]["recipe"] = "random"
    with (folder / "studies" / "decoding.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(study, file)
    assert verdicts(folder, "decoding")["dec-speculative-same"] == "confirmed"


@pytest.mark.slow
def test_amp_trains_random_weights_in_every_precision(folder: Path) -> None:
    ours = json.dumps({"kind": "hf", "architecture": ARCHITECTURES["llama"], "max_positions": 64})
    settings = ['parts.cost.base.model={"vocab_size": 259, ' + ours[1:]]
    for part in ("learning", "stability", "scaling"):
        base = f"parts.{part}.base"
        settings += [
            f"{base}.model={ours}",
            f"{base}.corpus=python-docs",
            f"{base}.tokenizer={{kind: bytes}}",
        ]
    assert verdicts(folder, "amp", *settings)
