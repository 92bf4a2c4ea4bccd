"""A checkpoint is whole or not there, whatever happens to the process that writes it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.errors import HarnessError
from harness.models.config import ModelConfig
from harness.models.init import build_model
from harness.training.checkpoint import (
    RECIPE,
    WEIGHTS,
    load_model,
    save_checkpoint,
    state_path,
    weights_digest,
    write_state_file,
)
from harness.trial.causes import Cause, cause_of_error
from tests.support.real_disk import mounted

CONFIG = ModelConfig(vocab_size=11, d_model=8, n_layers=1, n_heads=2, d_ff=16, max_positions=8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "key"


def save(folder: Path, seed: int = 0) -> str:
    return save_checkpoint(folder, build_model(CONFIG, seed), {"seed": seed})


@pytest.mark.parametrize("tied", [True, False])
def test_what_is_loaded_is_what_was_saved(folder: Path, *, tied: bool) -> None:
    config = CONFIG.model_copy(update={"tie_embeddings": tied})
    model = build_model(config, 5)
    sha256 = save_checkpoint(folder, model, {})
    loaded = load_model(folder, config)
    assert sha256 == weights_digest(folder)
    assert not loaded.training
    assert len({p.data_ptr() for p in loaded.parameters()}) == len(list(model.parameters()))
    for (name, saved), (_, read) in zip(model.named_parameters(), loaded.named_parameters(), strict=True):
        assert torch.equal(saved, read), name


def test_equal_models_have_equal_files_and_other_ones_others(folder: Path) -> None:
    assert save(folder, 1) == save(folder.with_name("other"), 1) != save(folder.with_name("third"), 2)


def test_models_kept_on_the_way_lie_in_the_checkpoint_and_count_in_its_digest(folder: Path) -> None:
    earlier = {2: build_model(CONFIG, 2), 10: build_model(CONFIG, 10)}
    sha256 = save_checkpoint(folder, build_model(CONFIG, 1), {}, earlier=earlier)
    assert sha256 == weights_digest(folder) != save(folder.with_name("other"), 1)
    for after, model in (*earlier.items(), (None, build_model(CONFIG, 1))):
        loaded = load_model(folder, CONFIG, after=after)
        assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True))
    with pytest.raises(HarnessError, match="cannot be loaded"):
        load_model(folder, CONFIG, after=3)
    (folder / "after-2.safetensors").unlink()
    assert weights_digest(folder) != sha256


def test_a_checkpoint_that_is_there_is_replaced_whole(folder: Path) -> None:
    save(folder, 1)
    (folder / "stray").touch()
    sha256 = save(folder, 2)
    assert weights_digest(folder) == sha256
    assert sorted(path.name for path in folder.iterdir()) == [WEIGHTS, RECIPE]
    assert [path.name for path in folder.parent.iterdir()] == ["key"]


def _die_when_syncing(folder: Path, call: int) -> None:
    """Saves, and is killed at the given one of the calls that make what was written durable."""
    calls = 0

    def dying(descriptor: int, original: Any = os.fsync) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        original(descriptor)

    os.fsync = dying  # type: ignore[assignment]
    torch.set_num_threads(1)
    save(folder, 2)


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_killed_writer_leaves_the_whole_or_nothing_and_the_next_one_cleans_up(
    folder: Path, call: int
) -> None:
    process = multiprocessing.get_context("fork").Process(target=_die_when_syncing, args=(folder, call))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert folder.exists() == (call == 4)  # the last call comes after the rename
    if folder.exists():
        load_model(folder, CONFIG)
    assert [path for path in folder.parent.iterdir() if path.name.startswith(".")]
    save(folder, 3)
    assert [path.name for path in folder.parent.iterdir()] == ["key"]
    assert torch.equal(
        next(load_model(folder, CONFIG).parameters()), next(build_model(CONFIG, 3).parameters())
    )


def test_scratch_of_a_living_process_is_left_alone(folder: Path) -> None:
    import fcntl

    other = folder.with_name(".key.1")
    other.mkdir(parents=True)
    descriptor = os.open(other, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    save(folder)
    assert other.exists()
    os.close(descriptor)
    save(folder)
    assert not other.exists()


@pytest.mark.parametrize("damage", ["truncated", "emptied", "deleted", "another model"])
def test_a_file_that_cannot_be_loaded_is_one_line_that_says_what_to_do(folder: Path, damage: str) -> None:
    save(folder)
    weights = folder / WEIGHTS
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif damage == "emptied":
        weights.write_bytes(b"")
    elif damage == "deleted":
        weights.unlink()
    config = CONFIG.model_copy(update={"d_ff": 32}) if damage == "another model" else CONFIG
    with pytest.raises(HarnessError) as caught:
        load_model(folder, config)
    said = str(caught.value)
    assert said.count("\n") == 0, said
    assert str(folder) in said
    assert said.endswith("delete this folder; the next run trains it again")


@pytest.mark.parametrize("what", ["checkpoint", "state"])
def test_a_full_disk_leaves_what_was_there_and_nothing_half_written(tmp_path: Path, what: str) -> None:
    target = tmp_path / "disk" / "checkpoints" / "model"

    def write(size: int) -> None:
        if what == "checkpoint":
            save_checkpoint(target, nn.Linear(size, size), {})
        else:
            write_state_file(state_path(target), {}, b"x" * size**2)

    with mounted(tmp_path / "disk", "size=256k") as disk:
        write(8)
        before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
        assert before
        with pytest.raises(Exception, match="No space left on device") as caught:
            write(1000)
        assert cause_of_error(caught.value) is Cause.FULL_DISK
        assert {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()} == before
        assert not list(disk.rglob(".*"))
        write(9)
