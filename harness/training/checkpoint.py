"""Checkpoints: a folder with the weights (safetensors) and the recipe that made them, complete or absent."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

from harness.errors import HarnessError

if TYPE_CHECKING:
    from torch import nn

    from harness.models.config import EncoderDecoderConfig, ModelConfig
    from harness.models.encoder_decoder import EncoderDecoder
    from harness.models.transformer import Transformer

WEIGHTS = "model.safetensors"
RECIPE = "recipe.json"


def weights_file(after: int | None = None) -> str:
    """The name of the file with the weights at the end of training, or `after` that many updates."""
    return WEIGHTS if after is None else f"after-{after}.safetensors"


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    recipe: dict[str, Any],
    *,
    earlier: Mapping[int, nn.Module] = MappingProxyType({}),
) -> str:
    """Write `folder` in one rename and return the digest of its weights.

    `earlier` has the models that were kept during training, by their number of updates. A folder that exists
    already was made by another process from the same recipe, and is replaced.
    """
    from safetensors.torch import save_model

    with _scratch(folder) as scratch:
        made = scratch / "made"
        made.mkdir()
        save_model(model, str(made / WEIGHTS))
        for after, state in earlier.items():
            save_model(state, str(made / weights_file(after)))
        (made / RECIPE).write_text(json.dumps(recipe, indent=1, sort_keys=True))
        for path in (*made.iterdir(), made):
            _sync(path)
        sha256 = weights_digest(made)
        if folder.exists():
            folder.rename(scratch / "replaced")
        made.rename(folder)
        _sync(folder.parent)
    return sha256


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` for this process, which is removed when the block ends.

    A killed process cannot clean up, but it loses its lock. So scratch folders that no process holds are
    removed here.
    """
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    turn = _lock(folder.parent, fcntl.LOCK_EX)
    try:
        for litter in folder.parent.glob(f".{folder.name}.*"):
            with suppress(BlockingIOError):
                os.close(_lock(litter, fcntl.LOCK_EX | fcntl.LOCK_NB))
                shutil.rmtree(litter)
        scratch.mkdir()
        held = _lock(scratch, fcntl.LOCK_EX)
    finally:
        os.close(turn)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(held)


def _lock(folder: Path, how: int) -> int:
    """A descriptor that holds the lock of the folder until it is closed or its process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sync(path: Path) -> None:
    """Make a written file, or a rename inside a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def weights_digest(folder: Path) -> str:
    """SHA-256 of the weights file, or of all weights files if earlier models were kept.

    Raises FileNotFoundError if there is no weights file.
    """
    earlier = sorted(folder.glob("after-*.safetensors"))
    digests = [_file_digest(path) for path in (folder / WEIGHTS, *earlier)]
    return hashlib.sha256("".join(digests).encode()).hexdigest() if earlier else digests[0]


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parameters_digest(model: nn.Module) -> str:
    """SHA-256 of the names and bits of the parameters: equal for models that are equal bit for bit."""
    import torch

    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        digest.update(name.encode())
        digest.update(parameter.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@overload
def load_model(folder: Path, config: ModelConfig, *, after: int | None = None) -> Transformer: ...
@overload
def load_model(folder: Path, config: EncoderDecoderConfig, *, after: int | None = None) -> EncoderDecoder: ...
def load_model(
    folder: Path, config: ModelConfig | EncoderDecoderConfig, *, after: int | None = None
) -> Transformer | EncoderDecoder:
    """The model of a checkpoint, in evaluation mode, on the CPU: at the end, or `after` that many updates.

    Raises HarnessError if the file is damaged or holds another model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_model as load_weights

    from harness.models.config import ModelConfig
    from harness.models.encoder_decoder import EncoderDecoder
    from harness.models.transformer import Transformer

    model = Transformer(config) if isinstance(config, ModelConfig) else EncoderDecoder(config)
    try:
        load_weights(model, str(folder / weights_file(after)))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise HarnessError(
            f"the checkpoint {folder} cannot be loaded: {reason}",
            hint="delete this folder; the next run trains it again",
        ) from error
    return model.eval()
