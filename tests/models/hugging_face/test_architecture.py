"""The closed forms are those of the built model, and what cannot be decoded is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.models.cost import flops_per_token, parameter_count
from harness.models.init import build_model
from tests.models.hugging_face.tiny import ARCHITECTURES, config, model


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_closed_forms_are_those_of_the_model(name: str) -> None:
    decoder = model(name, dtype=torch.float32, attention="eager")
    assert parameter_count(config(name)) == sum(parameter.numel() for parameter in decoder.parameters())
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        decoder(torch.zeros((2, 6), dtype=torch.long))
    assert counted.get_total_flops() == 2 * 6 * flops_per_token(config(name), keys=6)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"model_type": "mamba"}, "mamba has layers that do not cache all positions"),
        ({"model_type": "mistral"}, r"mistral has layers .* such as sliding windows"),
        ({"model_type": "t5"}, "transformers has no causal language model of model_type 't5'"),
        ({"model_type": "mixtral"}, r"mixtral has experts .* FLOPs per token have no closed form"),
        ({"model_type": "bert"}, "bert sees later tokens; give is_decoder: true"),
        ({"model_type": "falcon"}, "falcon caches something else than keys and values of heads"),
        ({"model_type": "llama", "hiden_size": 8}, "llama has no setting 'hiden_size'"),
        ({"model_type": "llama", "hidden_size": 15}, "transformers refuses the settings of llama: .*15"),
        ({"model_type": "llama", "vocab_size": 5}, "vocab_size 13 is more than the 5 of the architecture"),
        ({"hidden_size": 8}, "no causal language model of model_type None"),
    ],
)
def test_what_cannot_be_decoded_is_refused(architecture: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config("llama", architecture=architecture)


def test_the_seed_decides_on_random_weights() -> None:
    one, same, other = (
        torch.cat([parameter.flatten() for parameter in build_model(config("gpt2"), seed).parameters()])
        for seed in (0, 0, 1)
    )
    assert one.equal(same)
    assert not one.equal(other)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_dropout_replaces_that_of_the_architecture(name: str) -> None:
    tokens = torch.zeros((1, 4), dtype=torch.long)
    for dropout, repeats in ((0.0, True), (0.5, False)):
        decoder = model(name, dropout=dropout).train()
        assert decoder(tokens).equal(decoder(tokens)) is repeats
