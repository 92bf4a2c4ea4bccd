"""The transformer: no causal leak, padding, precision of tables, tied embeddings, refusals."""

from __future__ import annotations

import copy
from typing import get_args

import pytest
import torch

from harness.models.attention import attention_mask
from harness.models.config import CacheKind, ModelConfig
from harness.models.init import build_model
from harness.models.position import Rotary, Sinusoidal
from harness.models.transformer import Transformer
from tests.models.configs import model_config

SIZES = {"d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 32, "max_positions": 24, "init_std": 0.3}
POSITIONS = ["sinusoidal", "learned", "rotary"]
PADDINGS = (  # rows of 4, 7 and 11 tokens, marked by x
    ("........xxxx", ".....xxxxxxx", ".xxxxxxxxxxx"),
    ("xxxx........", "xxxxxxx.....", "xxxxxxxxxxx."),
    ("xx........xx", "xx...x..xxxx", "xxxxx.xxxxxx"),
    ("..x.x..x..x.", ".xx..xx.xxx.", "xxxxxxxxxx.x"),
)
PIECES = [5, 1, 3, 1, 1, 1]


def config(position: str = "rotary", **settings: object) -> ModelConfig:
    return model_config({**SIZES, "position": {"kind": position}, **settings}, vocab_size=13)


def model(position: str = "rotary", **settings: object) -> Transformer:
    return build_model(config(position, **settings), 0, dtype=torch.float64).eval()


def tokens(*shape: int) -> torch.Tensor:
    return torch.randint(13, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("position", POSITIONS)
def test_later_tokens_do_not_reach_earlier_logits(position: str) -> None:
    net, before = model(position), tokens(2, 10)
    after = before.clone()
    after[:, 6:] = (after[:, 6:] + 1) % 13
    old, new = net(before), net(after)
    assert torch.equal(old[:, :6], new[:, :6])
    assert not torch.allclose(old[:, 6:], new[:, 6:])


def test_the_gradient_of_a_logit_by_later_embeddings_is_zero() -> None:
    net, row = model(), tokens(1, 8)
    outputs: list[torch.Tensor] = []

    def keep(_module: object, _inputs: object, output: torch.Tensor) -> None:
        output.retain_grad()
        outputs.append(output)

    net.embedding.register_forward_hook(keep)
    net(row)[0, 4].sum().backward()
    gradient = outputs[0].grad
    assert gradient is not None
    assert torch.equal(gradient[0, 5:], torch.zeros_like(gradient[0, 5:]))
    assert (gradient[0, :5].abs().amax(dim=1) > 0).all()


@pytest.mark.parametrize("windows", [[None], [3], [None, 2]], ids=str)
@pytest.mark.parametrize("kernel", ["by-shape", "materialised"])
@pytest.mark.parametrize("position", [*POSITIONS, "none", "alibi", "relative"])
@torch.inference_mode()
def test_a_padded_row_is_the_row_alone(position: str, kernel: str, windows: list[int | None]) -> None:
    """Wherever the padding is, at once and in pieces through every cache."""
    net = model(position, attention={"kernel": {"kind": kernel}, "windows": windows})
    rows = [tokens(1, 4), tokens(1, 7).flip(1), tokens(1, 11)]
    expected = torch.cat([net(row)[0] for row in rows])
    for marks in PADDINGS:
        valid = torch.tensor([[mark == "x" for mark in row] for row in marks])
        batch = torch.full(valid.shape, 5)
        batch[valid] = torch.cat(rows, dim=1)[0]
        logits = net(batch, valid=valid)
        assert logits.isfinite().all()
        torch.testing.assert_close(logits[valid], expected, rtol=0, atol=1e-12, msg=f"{marks}")
        for kind in get_args(CacheKind)[1:]:
            cache = net.new_cache(kind, batch=3, capacity=12)
            pieces = zip(torch.split(batch, PIECES, 1), torch.split(valid, PIECES, 1), strict=True)
            logits = torch.cat([net(piece, cache=cache, valid=real) for piece, real in pieces], dim=1)
            torch.testing.assert_close(logits[valid], expected, rtol=0, atol=1e-12, msg=f"{marks} {kind}")


def test_masks_are_aligned_with_the_newest_query() -> None:
    mask = attention_mask(3, 8, valid=None, device=torch.device("cpu"))
    assert mask is not None
    assert mask.int().sum(-1).tolist() == [[[6, 7, 8]]]
    assert attention_mask(1, 8, valid=None, device=torch.device("cpu")) is None


@pytest.mark.parametrize("position", ["sinusoidal", "rotary"])
def test_tables_follow_the_precision_instead_of_keeping_an_older_rounding(position: str) -> None:
    built = build_model(config(position), 0, dtype=torch.float64).position
    through_half = copy.deepcopy(built).to(torch.bfloat16).double()
    assert isinstance(built, Sinusoidal | Rotary)
    for name, table in built.named_buffers():
        assert torch.equal(table, through_half.get_buffer(name))
    assert not list(built.state_dict())


@pytest.mark.parametrize("tied", [True, False])
def test_a_tied_output_has_one_tensor_and_the_gradient_of_both_uses(*, tied: bool) -> None:
    net = model(tie_embeddings=tied).float().double()
    assert ("unembedding.weight" in net.state_dict()) is not tied
    net(tokens(2, 6))[:, :, 12].sum().backward()
    seen = net.embedding.weight.grad
    assert seen is not None
    unseen = sorted(set(range(13)) - set(tokens(2, 6).flatten().tolist()) - {12})
    assert unseen
    assert (seen[unseen] == 0).all()
    assert (seen[12].abs().max() > 0) == (tied or 12 in tokens(2, 6))


def test_dropout_acts_in_training_only() -> None:
    net = model(dropout=0.5)
    row = tokens(1, 6)
    assert torch.equal(net(row), net(row))
    net.train()
    assert not torch.equal(net(row), net(row))


def test_refusals_say_what_and_how() -> None:
    net = model()
    with pytest.raises(ValueError, match="25 positions, but the model has max_positions 24"):
        net(tokens(1, 25))
    cache = net.new_cache("dynamic", batch=1, capacity=24)
    net(tokens(1, 24), cache=cache)
    with pytest.raises(ValueError, match="25 positions"):
        net(tokens(1, 1), cache=cache)
    with pytest.raises(ValueError, match="25 positions"):
        net.new_cache("static", batch=1, capacity=25)
    with pytest.raises(ValueError, match=r"call model\.eval\(\)"):
        net.train().new_cache("static", batch=1, capacity=4)
