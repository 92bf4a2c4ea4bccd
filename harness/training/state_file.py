"""The file of an unfinished training: its recipe, then its state, then a checksum of both. Read without
torch.

It is complete or absent: one line of JSON, the state as torch wrote it, and a SHA-256 of all that is before
it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import InputError

CHECKSUM = hashlib.sha256().digest_size
FROM_THE_BEGINNING = "delete it to train from the beginning"


def state_path(checkpoint: Path) -> Path:
    """Where the training that makes a checkpoint keeps its state meanwhile."""
    return checkpoint.with_name(f"{checkpoint.name}.state")


def write_state_file(path: Path, recipe: Mapping[str, Any], state: bytes) -> None:
    payload = json.dumps(recipe, sort_keys=True).encode() + b"\n" + state
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


def read_state_file(path: Path, recipe: Mapping[str, Any]) -> bytes:
    """The state. InputError: the file is damaged, or of another recipe, and in what."""
    content = path.read_bytes()
    payload, checksum = content[:-CHECKSUM], content[-CHECKSUM:]
    if hashlib.sha256(payload).digest() != checksum:
        raise InputError(
            f"the training state {path} is damaged: its {len(content):,} bytes have another checksum than they say",
            hint=FROM_THE_BEGINNING,
        )
    saved, _, state = payload.partition(b"\n")
    difference = next(_differences(json.loads(saved), json.loads(json.dumps(recipe))), None)
    if difference is not None:
        raise InputError(
            f"the training state {path} is of another recipe: {difference}",
            hint="resume with the recipe that it was saved by, or delete it to train from the beginning",
        )
    return state


def _differences(saved: Any, own: Any, place: str = "") -> Iterator[str]:
    if isinstance(saved, dict) and isinstance(own, dict):
        for key in sorted({*saved, *own}):
            yield from _differences(saved.get(key), own.get(key), f"{place}.{key}" if place else str(key))
    elif saved != own:
        yield f"{place} was {saved!r} there and is {own!r} here"
