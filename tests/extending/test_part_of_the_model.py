"""A newcomer's norm, attention and feed-forward layer: each is a config and a module, and no more.

The additions are appended to two files of a copy of the harness, where they replace earlier definitions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

NORM = {
    "config/norm.py": '''
from typing import get_args


class PowerNorm(Frozen):
    """x / mean(|x|), with a gain."""

    kind: Literal["power"] = "power"
    eps: PositiveFloat = 1e-6

    def parameters(self, width: int) -> int:
        return width


Norm = Annotated[get_args(Norm)[0] | PowerNorm, Field(discriminator="kind")]
''',
    "norm.py": """
import torch

from harness.models.config.norm import PowerNorm
from harness.models.self_initialised import AtRest


class Power(AtRest):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.gain, self.eps = nn.Parameter(torch.empty(width)), eps

    def reset_parameters(self) -> None:
        nn.init.ones_(self.gain)

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x / (x.abs().mean(-1, keepdim=True) + self.eps)


build_known_norm = build_norm


def build_norm(norm: Norm, width: int) -> nn.Module:
    return Power(width, norm.eps) if isinstance(norm, PowerNorm) else build_known_norm(norm, width)
""",
}

ATTENTION = {
    "config/attention.py": '''
class SharedKeyAttention(AttentionPart):
    """Multi-query attention whose values are its keys, so that a cache keeps only keys."""

    kind: Literal["shared-key"] = "shared-key"

    def check(self, sizes: Sizes) -> None:
        if sizes.d_model % sizes.n_heads:
            raise ValueError(f"d_model {sizes.d_model} is not a multiple of n_heads {sizes.n_heads}")

    def width_of_head(self, sizes: Sizes) -> int:
        return sizes.d_model // sizes.n_heads

    def parameters(self, sizes: Sizes) -> int:
        return sizes.d_model * (2 * sizes.d_model + sizes.head_width)

    def products(self, sizes: Sizes, *, keys: int) -> int:
        return self.parameters(sizes) + 2 * keys * sizes.d_model

    def cached(self, sizes: Sizes) -> CachedToken:
        return CachedToken(1, sizes.head_width, 0)


AttentionConfig = Annotated[MultiHeadAttention | SharedKeyAttention, KindOr("multi-head")]
''',
    "attention.py": """
from harness.models.config.attention import SharedKeyAttention


class SharedKey(Attention):
    def __init__(self, config: Architecture, *, layer: int) -> None:
        super().__init__()
        self.layer, self.n_heads = layer, config.n_heads
        self.q = nn.Linear(config.d_model, config.d_model, bias=False)
        self.k = nn.Linear(config.d_model, config.head_width, bias=False)
        self.out = nn.Linear(config.d_model, config.d_model, bias=False)

    def residual_outputs(self) -> Iterable[Tensor]:
        return (self.out.weight,)

    def forward(self, x: Tensor, context: AttentionContext) -> Tensor:
        batch, tokens, _ = x.shape
        q = self.q(x).view(batch, tokens, self.n_heads, -1).transpose(1, 2)  # (B, H, T, D)
        k = self.k(x)[:, None]  # (B, 1, T, D)
        if context.rotation is not None:
            q, k = context.rotation.rotate(q), context.rotation.rotate(k)
        if context.cache is not None:
            k, _ = context.cache.append(self.layer, k, k[..., :0])
        mask = context.masks[self.window].tensor
        attended = F.scaled_dot_product_attention(q, k, k, attn_mask=mask, enable_gqa=True)
        return self.out(attended.transpose(1, 2).reshape(batch, tokens, -1))


build_known_attention = build_attention


def build_attention(config: Architecture, *, layer: int) -> Attention:
    if isinstance(config.attention, SharedKeyAttention):
        return SharedKey(config, layer=layer)
    return build_known_attention(config, layer=layer)
""",
}

EXPERTS = {
    "config/feedforward.py": '''
from typing import get_args

from harness.models.config.base import Count, PositiveFloat


class ExpertFeedForward(FeedForwardPart):
    """Every token goes to one of several plain layers. A loss balances how many tokens each receives."""

    kind: Literal["experts"] = "experts"
    experts: Count = 3
    balance: PositiveFloat = 0.5

    @property
    def auxiliary_losses(self) -> Mapping[str, float]:
        return {"balance": self.balance}

    def parameters(self, sizes: Sizes) -> int:
        return self.experts * sizes.d_model * (1 + 2 * sizes.d_ff)

    def products(self, sizes: Sizes) -> int:
        return sizes.d_model * (self.experts + 2 * sizes.d_ff)


FeedForwardConfig = Annotated[get_args(FeedForwardConfig)[0] | ExpertFeedForward, Field(discriminator="kind")]
''',
    "feedforward.py": """
from harness.models.config.feedforward import ExpertFeedForward
from harness.models.layer import LayerOutput


class Experts(ResidualLayer):
    def __init__(self, settings: ExpertFeedForward, config: Architecture) -> None:
        super().__init__()
        self.router = nn.Linear(config.d_model, settings.experts, bias=False)
        self.experts = nn.ModuleList(FeedForward(config, bias=False) for _ in range(settings.experts))

    def residual_outputs(self) -> Iterable[Tensor]:
        return [weight for expert in self.experts for weight in expert.residual_outputs()]

    def forward(self, x: Tensor) -> LayerOutput:
        probabilities = self.router(x).softmax(dim=-1)  # (B, T, experts)
        chosen = F.one_hot(probabilities.argmax(dim=-1), len(self.experts)).to(x)
        weights = (chosen * probabilities).unbind(dim=-1)
        out = sum(weight[..., None] * expert(x) for weight, expert in zip(weights, self.experts))
        shares = chosen.mean(dim=(0, 1)), probabilities.mean(dim=(0, 1))
        return out, {"balance": len(self.experts) * (shares[0] * shares[1]).sum()}


build_known_feedforward = build_feedforward


def build_feedforward(config: Architecture) -> ResidualLayer:
    if isinstance(config.feedforward, ExpertFeedForward):
        return Experts(config.feedforward, config)
    return build_known_feedforward(config)
""",
}


# By the name of a copy: the part, its new kind, the additions, a mistake in them, and the message of the
# check that finds it.
COPIES: dict[str, tuple[str, str, Mapping[str, str], tuple[str, str], str]] = {
    "a norm": ("norm", "power", NORM, ("", ""), ""),
    "an attention": ("attention", "shared-key", ATTENTION, ("", ""), ""),
    "a feed-forward layer": ("feedforward", "experts", EXPERTS, ("", ""), ""),
    "counts other parameters": (
        "norm",
        "power",
        NORM,
        ("return width", "return 2 * width"),
        "assert parameter_count(config) == sum(",
    ),
    "is not initialised": (
        "norm",
        "power",
        NORM,
        ("Power(AtRest)", "Power(nn.Module)"),
        "has parameters, but no initialisation",
    ),
    "caches other values": (
        "attention",
        "shared-key",
        ATTENTION,
        ("sizes.head_width, 0)", "sizes.head_width, 1)"),
        "RuntimeError",
    ),
}
MISTAKES = [name for name, (*_, message) in COPIES.items() if message]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of the copies of the harness, after the checks."""
    made, words = {}, list[str]()
    for name, (part, kind, additions, mistake, _) in COPIES.items():
        folder = made[name] = tmp_path_factory.mktemp("copy")
        shutil.copytree(ROOT / "harness", folder / "harness")
        for file_name, source in additions.items():
            with (folder / "harness" / "models" / file_name).open("a") as file:
                file.write(source.replace(*mistake))
        words += [part, kind, str(folder)]
    subprocess.run(
        [sys.executable, "-P", "-m", "tests.extending.forked_checks", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path_factory.mktemp("elsewhere"),
        check=True,
    )
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COPIES if name not in MISTAKES])
def test_a_config_and_a_module_are_all_that_a_part_needs(name: str, folders: dict[str, Path]) -> None:
    assert (folders[name] / "status").read_text() == "0", (folders[name] / "errors").read_text()
    assert len(COPIES[name][2]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_part_with_a_mistake_fails(name: str, folders: dict[str, Path]) -> None:
    assert (folders[name] / "status").read_text() == "1"
    assert COPIES[name][-1] in (folders[name] / "errors").read_text()
