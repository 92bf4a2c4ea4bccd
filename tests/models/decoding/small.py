"""Models small enough to enumerate what they can say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from scipy.stats import chisquare
from torch import Tensor

from harness.models.cache import Cache
from harness.models.config import CacheKind
from harness.models.decoding.config import Filter
from harness.models.decoding.sampling import filtered
from harness.models.init import build_model
from harness.models.transformer import Transformer
from tests.models.configs import model_config


def tiny(seed: int = 0, *, vocabulary: int, positions: int = 48) -> Transformer:
    """Float64, and sharp enough for its continuations to vary."""
    sizes = {"d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 32, "max_positions": positions}
    settings = sizes | {"tie_embeddings": False, "init_std": 1.0}
    model = build_model(model_config(settings, vocab_size=vocabulary), seed, dtype=torch.float64)
    assert isinstance(model, Transformer)
    return model.eval()


def perturbed(model: Transformer, *, std: float, seed: int = 1) -> Transformer:
    """Nearly the same model: a draft that is often right."""
    other = build_model(model.config, 0, dtype=torch.float64)
    other.load_state_dict(model.state_dict())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(std * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    assert isinstance(other, Transformer)
    return other.eval()


def prompts(*shape: int, vocabulary: int, seed: int = 2) -> Tensor:
    return torch.randint(vocabulary, shape, generator=torch.Generator().manual_seed(seed))


class Markov:
    """The next token depends on the last one alone; there is no cache, whatever kind is asked for."""

    def __init__(self, logits: Tensor, *, max_positions: int = 100) -> None:
        self.logits = logits  # (V, V)
        self.max_positions = max_positions

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        return None

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        return self.logits[tokens[:, -1]]

    def __call__(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        return self.logits[tokens]


def continuations(vocabulary: int, new_tokens: int, *, end: int | None) -> Iterator[tuple[int, ...]]:
    """All that a model may say: up to its first end token, or that long."""
    for length in range(1, new_tokens + 1):
        for tokens in product(range(vocabulary), repeat=length):
            if end not in tokens[:-1] and (length == new_tokens or tokens[-1] == end):
                yield tokens


@torch.inference_mode()
def log_probabilities(
    model: Transformer, prompt: Tensor, *, new_tokens: int, end: int | None, filters: tuple[Filter, ...] = ()
) -> dict[tuple[int, ...], float]:
    """Of all continuations of a prompt (P,): teacher forcing in one pass for each length, without a cache."""
    totals: dict[tuple[int, ...], float] = {}
    for length in range(1, new_tokens + 1):
        said = [
            tokens
            for tokens in continuations(model.config.vocab_size, new_tokens, end=end)
            if len(tokens) == length
        ]
        if said:
            following = torch.tensor(said)
            logits = model(torch.cat((prompt.expand(len(said), -1), following), dim=1))[
                :, len(prompt) - 1 : -1
            ]
            steps = filtered(logits, filters).log_softmax(dim=-1).gather(2, following[:, :, None])
            totals.update(zip(said, steps.sum(dim=(1, 2)).tolist(), strict=True))
    return totals


def p_value(drawn: Tensor, expected: Tensor) -> float:
    """Chi-square of cell numbers (N,) against the cells' probabilities; cells expected less than 5 times are
    one.
    """
    counts = torch.bincount(drawn, minlength=len(expected)).double()
    wanted = expected.double() * len(drawn)
    if bool(counts[wanted == 0].any()):
        return 0.0
    rare = wanted < 5
    cells = [torch.cat((row[~rare], row[rare].sum()[None])) for row in (counts, wanted)]
    filled = cells[1] > 0
    return float(chisquare(cells[0][filled].numpy(), cells[1][filled].numpy()).pvalue)
