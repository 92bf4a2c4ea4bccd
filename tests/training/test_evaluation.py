"""Every training is evaluated in float32, whatever its own precision is."""

from __future__ import annotations

import copy

import pytest
import torch

from harness.models.config import LossConfig, ModelConfig
from harness.models.init import build_model
from harness.training.evaluation import Evaluated, bits_per_byte, evaluate, evaluate_in
from harness.training.objective import Objective
from harness.training.precision import BFloat16, BFloat16Autocast, Float32
from tests.training.bigram import VOCABULARY, Stream

SIZES = ModelConfig(vocab_size=VOCABULARY, d_model=16, n_layers=2, n_heads=2, d_ff=32, max_positions=8)


def test_weights_of_16_bits_are_evaluated_as_the_float32_numbers_that_they_are() -> None:
    model = build_model(SIZES, 0).to(torch.bfloat16)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    parameters = list(map(id, model.parameters()))
    stream = Stream()
    batches = [next(stream) for _ in range(3)]
    wide = copy.deepcopy(model).float()
    evaluated = evaluate(Objective(model, LossConfig()), batches)
    assert evaluated == evaluate_in(Float32(), Objective(wide, LossConfig()), batches)
    assert evaluated != evaluate_in(BFloat16(), Objective(model, LossConfig()), batches)
    assert list(map(id, model.parameters())) == parameters, "an optimizer holds these"
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


def test_products_of_16_bits_play_no_part() -> None:
    model = build_model(SIZES, 0)
    batches = [next(Stream())]
    objective = Objective(model, LossConfig())
    assert evaluate(objective, batches) == evaluate_in(Float32(), objective, batches)
    assert evaluate(objective, batches) != evaluate_in(BFloat16Autocast(), objective, batches)


def test_bits_per_byte_is_the_loss_of_the_text_over_its_bytes() -> None:
    assert bits_per_byte(Evaluated(loss=2.0, log_z=0.0, tokens=30), 60) == pytest.approx(1.4427, abs=1e-4)
