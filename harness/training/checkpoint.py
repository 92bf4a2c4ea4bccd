"""Checkpoints: a folder with the weights (safetensors) and the recipe that made them, complete or absent."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError

if TYPE_CHECKING:
    from models.config import ModelConfig
    from models.transformer import Transformer

WEIGHTS = "model.safetensors"
RECIPE = "recipe.json"


def save_checkpoint(folder: Path, model: Transformer, recipe: dict[str, Any]) -> str:
    """Write `folder` in one rename and return the SHA-256 of its weights file.

    A folder that is already there was made by another process from the same recipe and is replaced.
    """
    from safetensors.torch import save_model

    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        save_model(model, str(scratch / WEIGHTS))
        (scratch / RECIPE).write_text(json.dumps(recipe, indent=1, sort_keys=True))
        for name in (WEIGHTS, RECIPE):
            with (scratch / name).open("rb") as file:
                os.fsync(file.fileno())
        sha256 = weights_digest(scratch)
        if folder.exists():
            shutil.rmtree(folder)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return sha256


def weights_digest(folder: Path) -> str:
    """SHA-256 of the weights file; FileNotFoundError where there is none."""
    with (folder / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_model(folder: Path, config: ModelConfig) -> Transformer:
    """The model of a checkpoint, in evaluation mode, on the CPU. HarnessError where the file is damaged or of another model."""
    from safetensors import SafetensorError
    from safetensors.torch import load_model as load_weights

    from models.transformer import Transformer

    model = Transformer(config)
    try:
        load_weights(model, str(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise HarnessError(
            f"the checkpoint {folder} cannot be loaded: {error}",
            hint="delete this folder; the next run trains it again",
        ) from error
    return model.eval()
