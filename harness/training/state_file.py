"""The file of an unfinished training: its recipe, its state, and a checksum of both. Needs no torch.

The file is complete or absent. It has one line of JSON, the state as torch wrote it, and a SHA-256 of
everything before it.
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
    """The file in which a training stores its state until its checkpoint is complete."""
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
    """The state. Raises InputError if the file is damaged or belongs to another recipe."""
    content = path.read_bytes()
    payload, checksum = content[:-CHECKSUM], content[-CHECKSUM:]
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
