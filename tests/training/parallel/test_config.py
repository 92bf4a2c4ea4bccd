"""The setting `parallel` of a training."""

from __future__ import annotations

import importlib

import pytest
from pydantic import ValidationError

from harness.config import content
from harness.tasks.train import Train
from harness.training.parallel.config import ONE_PROCESS, Parallel
from tests.tasks.tiny_recipes import RECIPE


def test_one_process_is_the_default_and_changes_no_id() -> None:
    plain, one = Train.read(RECIPE), Train.read({**RECIPE, "parallel": {"data": 1}})
    assert (plain.ranks, plain.parallel) == (1, ONE_PROCESS)
    assert plain.plain() == one.plain()
    assert "parallel" not in plain.plain()
    assert content(plain) == content(one)


def test_ranks_are_a_part_of_the_recipe() -> None:
    two = Train.read({**RECIPE, "parallel": {"data": 2}})
    assert two.ranks == 2
    assert content(two)["parallel"] == {"data": 2}


def test_the_modules_that_processes_need_are_there_before_they_are_forked() -> None:
    plain = Train.read(RECIPE)
    assert plain.modules == plain.imports
    shard = Train.read({**RECIPE, "parallel": {"data": 2, "shard": "full"}})
    assert set(shard.modules) - set(plain.modules) == {
        "torch.distributed.elastic.multiprocessing",
        "torch.distributed.launcher",
        "torch.distributed.fsdp",
    }
    for module in shard.modules:
        importlib.import_module(module)


@pytest.mark.parametrize("data", [0, -1, 1.5])
def test_ranks_are_counted_from_one(data: float) -> None:
    with pytest.raises(ValidationError, match="data"):
        Parallel.read({"data": data})


def test_the_state_of_several_ranks_cannot_be_saved_on_the_way() -> None:
    with pytest.raises(ValidationError, match="save_every cannot be combined with several ranks"):
        Train.read({**RECIPE, "save_every": 2, "parallel": {"data": 2}})
