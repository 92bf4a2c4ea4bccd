"""Checkpoints: a folder with the weights (safetensors) and the recipe that made them, complete or absent.

Until a checkpoint is complete, a file beside it has the state of the unfinished training, complete or absent:
its recipe, its state, and a checksum of both. Importing this module needs no torch.
"""

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

from harness.data.cache import TRAILER, file_sha256, write_durably
from harness.data.cache import sync_directory as sync
from harness.errors import HarnessError, InputError

if TYPE_CHECKING:
    from torch import nn

    from harness.models.config import EncoderDecoderConfig, ModelConfig
    from harness.models.config.own import OwnDecoderConfig
    from harness.models.encoder_decoder import EncoderDecoder
    from harness.models.own import OwnDecoder
    from harness.models.transformer import Transformer

WEIGHTS = "model.safetensors"
RECIPE = "recipe.json"
FROM_THE_BEGINNING = "delete it to train from the beginning"


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
            sync(path)
        sha256 = weights_digest(made)
        if folder.exists():
            folder.rename(scratch / "replaced")
        made.rename(folder)
        sync(folder.parent)
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


def weights_digest(folder: Path) -> str:
    """SHA-256 of the weights file, or of all weights files if earlier models were kept.

    Raises FileNotFoundError if there is no weights file.
    """
    earlier = sorted(folder.glob("after-*.safetensors"))
    digests = [file_sha256(path) for path in (folder / WEIGHTS, *earlier)]
    return hashlib.sha256("".join(digests).encode()).hexdigest() if earlier else digests[0]


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
@overload
def load_model(folder: Path, config: OwnDecoderConfig, *, after: int | None = None) -> OwnDecoder: ...
def load_model(
    folder: Path,
    config: ModelConfig | EncoderDecoderConfig | OwnDecoderConfig,
    *,
    after: int | None = None,
) -> Transformer | EncoderDecoder | OwnDecoder:
    """The model of a checkpoint, in evaluation mode, on the CPU: at the end, or `after` that many updates.

    Raises HarnessError if the file is damaged or holds another model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_model as load_weights

    from harness.models.config import ModelConfig
    from harness.models.config.own import OwnDecoderConfig
    from harness.models.encoder_decoder import EncoderDecoder
    from harness.models.own import build_own
    from harness.models.transformer import Transformer

    model: Transformer | EncoderDecoder | OwnDecoder
    if isinstance(config, OwnDecoderConfig):
        model = build_own(config, for_weights=True)
    else:
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


def state_path(checkpoint: Path) -> Path:
    """The file in which a training stores its state until its checkpoint is complete."""
    return checkpoint.with_name(f"{checkpoint.name}.state")


def write_state_file(path: Path, recipe: Mapping[str, Any], state: bytes) -> None:
    """Write one line of JSON with the recipe, the state as torch wrote it, and a SHA-256 of both."""
    payload = json.dumps(recipe, sort_keys=True).encode() + b"\n" + state
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        write_durably(unfinished, payload, hashlib.sha256(payload).digest())
        unfinished.replace(path)
    except OSError:  # as on a full disk, where the rest would stay in the way
        unfinished.unlink(missing_ok=True)
        raise
    sync(path.parent)


def read_state_file(path: Path, recipe: Mapping[str, Any]) -> bytes:
    """The state. Raises InputError if the file is damaged or belongs to another recipe."""
    content = path.read_bytes()
    payload, checksum = content[:-TRAILER], content[-TRAILER:]
    if hashlib.sha256(payload).digest() != checksum:
        raise InputError(
            f"the training state {path} is damaged: its {len(content):,} bytes do not match its checksum",
            hint=FROM_THE_BEGINNING,
        )
    saved, _, state = payload.partition(b"\n")
    difference = next(_differences(json.loads(saved), json.loads(json.dumps(recipe))), None)
    if difference is not None:
        raise InputError(
            f"the training state {path} belongs to another recipe: {difference}",
            hint=f"resume with the recipe that saved it, or {FROM_THE_BEGINNING}",
        )
    return state


def _differences(saved: Any, current: Any, path: str = "") -> Iterator[str]:
    if isinstance(saved, dict) and isinstance(current, dict):
        for key in sorted({*saved, *current}):
            yield from _differences(saved.get(key), current.get(key), f"{path}.{key}" if path else str(key))
    elif saved != current:
        yield f"{path} is {saved!r} there but {current!r} now"
