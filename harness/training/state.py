"""Saves the complete state of an unfinished training in one file, and resumes from it bit for bit."""

from __future__ import annotations

import io
import pickle
import random
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.errors import HarnessError
from harness.training.checkpoint import FROM_THE_BEGINNING, read_state_file, write_state_file

if TYPE_CHECKING:
    from harness.training.loop import Training


def save_state(
    path: Path, training: Training, recipe: Mapping[str, Any], position: Mapping[str, Any]
) -> None:
    """Write the state of model, optimizer, scaler and all random generators, with `position` and the
    recipe.
    """
    updater = training.updater
    content = io.BytesIO()
    state = {
        "model": updater.objective.model.state_dict(),
        "optimizer": updater.optimizer.state_dict(),
        "scaler": None if updater.scaler is None else updater.scaler.state_dict(),
        "training": dict(position),
        "generators": _generators(updater.objective.device),
    }
    torch.save(state, content)
    write_state_file(path, recipe, content.getvalue())


def resume(path: Path, training: Training, recipe: Mapping[str, Any]) -> None:
    """Make `training` continue where the file was saved.

    Raises HarnessError, before anything is changed, if the file is damaged or belongs to another recipe or
    other data.
    """
    state = _read(path, recipe)
    try:
        training.restore(state["training"])
    except ValueError as error:
        raise HarnessError(
            f"the training state {path} does not fit the data: {error}",
            hint=FROM_THE_BEGINNING,
        ) from error
    updater = training.updater
    updater.objective.model.load_state_dict(state["model"])
    updater.optimizer.load_state_dict(state["optimizer"])
    if updater.scaler is not None:
        updater.scaler.load_state_dict(state["scaler"])
    _set_generators(state["generators"], updater.objective.device)


def _read(path: Path, recipe: Mapping[str, Any]) -> dict[str, Any]:
    content = io.BytesIO(read_state_file(path, recipe))
    try:
        with torch.serialization.safe_globals(_library_types()):
            state: dict[str, Any] = torch.load(content, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise HarnessError(
            f"the training state {path} cannot be read: {error}", hint=FROM_THE_BEGINNING
        ) from error
    return state


def _library_types() -> list[Any]:
    """The classes of pytorch-optimizer that the state of Shampoo contains."""
    try:
        from pytorch_optimizer.optimizer.utils import graft, preconditioner
    except ImportError:
        return []
    values = [value for module in (graft, preconditioner) for value in vars(module).values()]
    classes = [value for value in values if isinstance(value, type)]
    return [value for value in classes if value.__module__.startswith("pytorch_optimizer.")]


def _generators(device: torch.device) -> dict[str, Any]:
    legacy: Any = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [legacy[0], legacy[1].tolist(), *legacy[2:]],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def _set_generators(saved: Mapping[str, Any], device: torch.device) -> None:
    random.setstate(saved["python"])
    name, keys, *rest = saved["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(saved["torch"])
    if saved["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(saved["cuda"], device)
