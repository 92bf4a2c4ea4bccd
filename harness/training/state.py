"""The whole state of an unfinished training, in one file that is complete or absent, and going on from it bit for bit."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.training.loop import Training

CHECKSUM = hashlib.sha256().digest_size


def save_state(
    path: Path, training: Training, recipe: Mapping[str, Any], position: Mapping[str, Any]
) -> None:
    """Model, optimizer, scaler, every generator and the training's own `position`, with the recipe, and a SHA-256."""
    updater = training.updater
    content = io.BytesIO()
    state = {
        "recipe": dict(recipe),
        "model": updater.objective.model.state_dict(),
        "optimizer": updater.optimizer.state_dict(),
        "scaler": None if updater.scaler is None else updater.scaler.state_dict(),
        "training": dict(position),
        "generators": _generators(updater.objective.device),
    }
    torch.save(state, content)
    payload = content.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(payload)
        file.write(hashlib.sha256(payload).digest())
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def resume(path: Path, training: Training, recipe: Mapping[str, Any]) -> None:
    """Have `training` go on where the file was saved. HarnessError: it is damaged, or of another recipe or other data.

    Nothing is changed before all of that is known.
    """
    state = _read(path)
    difference = next(_differences(state["recipe"], dict(recipe)), None)
    if difference is not None:
        raise HarnessError(
            f"the training state {path} is of another recipe: {difference}",
            hint="resume with the recipe that it was saved by, or delete it to train from the beginning",
        )
    try:
        training.restore(state["training"])
    except ValueError as error:
        raise HarnessError(
            f"the training state {path} does not fit the data: {error}",
            hint="delete it to train from the beginning",
        ) from error
    updater = training.updater
    updater.objective.model.load_state_dict(state["model"])
    updater.optimizer.load_state_dict(state["optimizer"])
    if updater.scaler is not None:
        updater.scaler.load_state_dict(state["scaler"])
    _set_generators(state["generators"], updater.objective.device)


def _read(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    payload, checksum = content[:-CHECKSUM], content[-CHECKSUM:]
    hint = "delete it to train from the beginning"
    if hashlib.sha256(payload).digest() != checksum:
        raise HarnessError(
            f"the training state {path} is damaged: its {len(content):,} bytes have another checksum than they say",
            hint=hint,
        )
    try:
        with torch.serialization.safe_globals(_library_types()):
            state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise HarnessError(f"the training state {path} cannot be read: {error}", hint=hint) from error
    return state


def _library_types() -> list[Any]:
    """What Shampoo keeps beside tensors."""
    try:
        from pytorch_optimizer.optimizer.utils import graft, preconditioner
    except ImportError:
        return []
    own = "pytorch_optimizer."
    named = [value for module in (graft, preconditioner) for value in vars(module).values()]
    return [value for value in named if isinstance(value, type) and value.__module__.startswith(own)]


def _differences(saved: Any, own: Any, place: str = "") -> Iterator[str]:
    if isinstance(saved, dict) and isinstance(own, dict):
        for key in sorted({*saved, *own}):
            yield from _differences(saved.get(key), own.get(key), f"{place}.{key}" if place else str(key))
    elif saved != own:
        yield f"{place} was {saved!r} there and is {own!r} here"


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
