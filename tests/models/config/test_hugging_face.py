"""The config of a model of transformers, from settings or from a local checkpoint."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.config import content, digest
from harness.models.config.hugging_face import HuggingFaceConfig
from harness.models.init import build_model
from harness.tasks.train import Train
from tests.models.hugging_face.tiny import config, model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint as transformers writes one."""
    decoder: Any = model("llama", dtype=torch.float32, vocab_size=300)
    decoder.model.save_pretrained(tmp_path / "llama")
    return tmp_path / "llama"


def read(folder: Path, **settings: Any) -> HuggingFaceConfig:
    return HuggingFaceConfig.model_validate({"checkpoint": str(folder), **settings})


def change_weights(folder: Path) -> None:
    (file,) = folder.glob("*.safetensors")
    weights = load_file(file)
    weights["model.norm.weight"] += 1
    save_file(weights, file, metadata={"format": "pt"})


def train(folder: Path) -> Train:
    return Train.read(
        {
            "corpus": "python-docs",
            "tokenizer": {"kind": "bytes"},
            "model": {"kind": "hf", "checkpoint": str(folder)},
            "batch": 2,
            "length": 8,
            "updates": 0,
            "optimizer": {"kind": "adamw", "lr": 1e-3},
        }
    )


def test_a_checkpoint_is_loaded_without_a_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    tokens = torch.arange(8)[None]
    loaded = build_model(read(folder), seed=5).eval()
    assert loaded(tokens).equal(model("llama", dtype=torch.float32, vocab_size=300)(tokens))
    assert (loaded.config.vocab_size, loaded.config.max_positions) == (300, 24)


def test_weights_and_settings_are_part_of_the_identity(folder: Path) -> None:
    before = read(folder)
    change_weights(folder)
    weights = read(folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "rms_norm_eps": 0.5}))
    configs = [before, weights, read(folder)]
    assert len({digest(content(config)) for config in configs}) == 3
    assert weights.sha256 == read(folder).sha256 != before.sha256


def test_a_config_that_was_stored_needs_no_folder(folder: Path) -> None:
    stored = read(folder).model_dump(mode="json")
    change_weights(folder)
    again = HuggingFaceConfig.model_validate(stored)
    assert again.sha256 == stored["sha256"]
    with pytest.raises(ValueError, match="have changed since the study was read; run again"):
        again.build()
    (folder / "config.json").unlink()
    assert HuggingFaceConfig.model_validate(stored).parameter_count() == again.parameter_count()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("config.json", None, r"no config.json that can be read: .*relative paths start at"),
        ("config.json", "[]", "is not a JSON object"),
        (
            "config.json",
            '{"model_type": "mine", "auto_map": {}}',
            "no causal language model of model_type 'mine'",
        ),
        ("config.json", '{"model_type": "llama", "quantization_config": {}}', "are quantised"),
        ("model.safetensors", None, r"has no file \*.safetensors; formats that can run code are not read"),
    ],
)
def test_a_folder_that_is_no_checkpoint_is_refused(
    folder: Path, file: str, text: str | None, message: str
) -> None:
    (folder / file).unlink()
    if text is not None:
        (folder / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        read(folder)


def test_a_checkpoint_that_lacks_a_tensor_is_refused(folder: Path) -> None:
    (file,) = folder.glob("*.safetensors")
    weights = load_file(file)
    del weights["model.norm.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 tensors, such as model.norm.weight"):
        read(folder).build()


def test_either_weights_or_an_architecture_is_given(folder: Path) -> None:
    with pytest.raises(ValueError, match="give either architecture"):
        read(folder, architecture={"model_type": "llama"})
    with pytest.raises(ValueError, match="give architecture, a mapping with a model_type, or checkpoint"):
        HuggingFaceConfig.model_validate({"vocab_size": 3})
    with pytest.raises(ValueError, match="sha256 is that of the weights of a checkpoint"):
        config("llama", sha256="0" * 64)


def test_without_transformers_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith("harness.models.hugging_face."):
            monkeypatch.delitem(sys.modules, name)
    package = sys.modules["harness.models.hugging_face"]
    monkeypatch.delattr(package, "architecture", raising=False)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match=r"not installed; pip install 'transformer-harness\[hf\]'"):
        config("llama")


def test_a_training_reads_the_checkpoint(folder: Path) -> None:
    before = train(folder)
    change_weights(folder)
    assert digest(before.plain()) != digest(train(folder).plain())
    assert Train.read(before.plain()) == before
    assert (before.model.vocab_size, before.model.max_positions) == (259, 24)
