"""Every optimizer passes the same tests; ours is compared with its formula in float64."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from harness.errors import InputError
from harness.models.init import build_model
from harness.models.transformer import Transformer
from harness.training.optim import SGD, LionTrustRatio, Muon, OptimizerConfig, OptimizerSettings
from harness.training.schedule import ConstantSchedule
from tests.models.configs import model_config
from tests.training.bigram import VOCABULARY, Bigram, run, updater, values

ADAPTER: TypeAdapter[Any] = TypeAdapter(OptimizerConfig)
KINDS = [kind.model_fields["kind"].default for kind in get_args(get_args(OptimizerConfig)[0])]
RATES = {"sgd": 0.5, "lion": 3e-3, "lion-trust-ratio": 3e-2}
SIZES = {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 32, "max_positions": 8}


def settings(kind: str, **options: Any) -> OptimizerSettings:
    settings: OptimizerSettings = ADAPTER.validate_python(
        {"kind": kind, "lr": RATES.get(kind, 1e-2), **options}
    )
    return settings


def small() -> Transformer:
    return build_model(model_config(SIZES, vocab_size=VOCABULARY), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns(kind: str) -> None:
    """From a start far from the uniform guess, the best there is for random targets, most of the way to
    it.
    """
    model = small()
    with torch.no_grad():
        model.embedding.weight.mul_(60)
    _, reported = run(
        updater(model, settings(kind)), updates=60, evaluate_every=60, schedule=ConstantSchedule()
    )
    losses, chance = values(reported, "loss"), math.log(VOCABULARY)
    assert losses[0] > chance + 0.8
    assert np.mean(losses[-5:]) < chance + 0.5 * (losses[0] - chance)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_in_one_group_and_matrices_alone_decay(kind: str) -> None:
    model = small()
    optimizer = settings(kind, weight_decay=0.3).build(model)
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.3}


@pytest.mark.parametrize("kind", KINDS)
def test_the_rate_that_is_set_is_the_rate_of_the_step(kind: str) -> None:
    """With a rate of zero nothing moves, in no part of it."""
    model = small()
    made = updater(model, settings(kind))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    _, reported = run(made, updates=2, evaluate_every=2, schedule=_Zero())
    assert values(reported, "learning_rate") == [0.0, 0.0]
    for parameter, old in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), old, rtol=1e-6, atol=0)


class _Zero(ConstantSchedule):
    def _after_warmup(self, _update: int, _updates: int) -> float:
        return 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_its_state_goes_on_where_it_was_taken(kind: str) -> None:
    weights = []
    for interrupted in (False, True):
        model = small()
        made = updater(model, settings(kind))
        run(made, updates=12, schedule=ConstantSchedule())
        if interrupted:
            fresh = settings(kind).build(model)
            fresh.load_state_dict(made.optimizer.state_dict())
            attempted, made.attempted = made.attempted, 0
            made = updater(model, fresh)
            made.attempted = attempted
        run(made, updates=16, schedule=ConstantSchedule())
        weights.append([parameter.detach().clone() for parameter in model.parameters()])
    for one, other in zip(*weights, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_an_option_it_does_not_know_is_refused_with_its_name(kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(kind, warm=1)
    (error,) = caught.value.errors()
    assert (error["type"], error["loc"][-1]) == ("extra_forbidden", "warm")


@pytest.mark.parametrize("options", [{"lr": 0.0}, {"lr": math.nan}, {"weight_decay": -1.0}])
@pytest.mark.parametrize("kind", KINDS)
def test_values_out_of_range_are_refused(kind: str, options: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        settings(kind, **options)


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(ValidationError, match="adamw"):
        settings("adamm")


def test_a_rule_that_matches_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"weight_decay 0\.1 applies to matrices, but this model has no"):
        SGD(lr=1.0, weight_decay=0.1).build(nn.LayerNorm(4))
    with pytest.raises(InputError, match="muon is for matrices, but"):
        Muon(lr=1.0).build(nn.LayerNorm(4))
    assert len(SGD(lr=1.0).build(nn.LayerNorm(4)).param_groups) == 1


def test_scaling_reaches_every_rate() -> None:
    scaled = Muon(lr=1.0, others_lr=0.25).scaled(2.0)
    assert (scaled.lr, scaled.others_lr) == (2.0, 0.5)
    assert Muon(lr=1.0).scaled(2.0).others_lr is None


def test_frozen_parameters_are_left_out() -> None:
    model = small()
    model.embedding.weight.requires_grad = False
    held = [id(p) for group in settings("adamw").build(model).param_groups for p in group["params"]]
    assert id(model.embedding.weight) not in held
    assert len(held) == len(list(model.parameters())) - 1


def test_lion_with_a_trust_ratio_is_its_formula() -> None:
    model = Bigram()
    generator = np.random.default_rng(0)
    table = model.table.detach().double().numpy().copy()
    momentum = np.zeros_like(table)
    model.table.data = model.table.data.double()
    optimizer = LionTrustRatio(lr=0.1, weight_decay=0.2, betas=(0.9, 0.99)).build(model)
    for _ in range(5):
        gradient = generator.normal(size=table.shape)
        model.table.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
        update = np.sign(0.9 * momentum + 0.1 * gradient) + 0.2 * table
        table -= 0.1 * np.sqrt((table**2).mean()) / np.sqrt((update**2).mean()) * update
        momentum = 0.99 * momentum + 0.01 * gradient
        np.testing.assert_allclose(model.table.detach().numpy(), table, rtol=1e-12)


def test_a_trust_ratio_lets_zeros_move_and_nothing_move_without_a_gradient() -> None:
    model = Bigram()
    model.table.data.zero_()
    optimizer = LionTrustRatio(lr=0.5, weight_decay=0.0, least_rms=1e-3).build(model)
    model.table.grad = torch.zeros_like(model.table)
    optimizer.step()
    assert not model.table.any()
    model.table.grad = torch.ones_like(model.table)
    optimizer.step()
    torch.testing.assert_close(model.table.detach(), torch.full_like(model.table, -0.5e-3))
