"""The checks of tied-embeddings."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from harness.invariants.base import Check
from harness.invariants.subjects import Subject
from harness.invariants.support.compare import Judgement, compare_named, judged
from harness.invariants.support.tiny import DTYPES, decoder_config, random_tokens, translator_config
from harness.invariants.tied_embeddings import TIED
from harness.models.embedding import OutputProjection
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.init import build_model
from harness.models.loss import cross_entropy
from harness.models.transformer import Transformer
from harness.training.checkpoint import load_model, save_checkpoint

Either = Transformer | EncoderDecoder
ROWS = 2


def generic_checks(level: str) -> Iterator[Check]:
    tied = level == TIED
    tokens = random_tokens(2, 9)
    for dtype in DTYPES:
        decoder = build_model(decoder_config({}, tie_embeddings=tied), 0, dtype=dtype)
        translator = build_model(translator_config({}, tie_embeddings=tied), 0, dtype=dtype)
        pair: tuple[tuple[str, Either], ...] = (("decoder", decoder), ("translator", translator))
        for name, model in pair:
            for treatment, treated in _treatments(model).items():
                yield _storages(f"{name}: after {treatment}", treated, tied=tied, dtype=dtype)
        yield _both_uses("decoder: gradient", decoder, tokens)


def subject_checks(subject: Subject) -> Iterator[Check]:
    model = subject.transformer
    dtype = next(model.parameters()).dtype
    tied = model.config.tie_embeddings
    yield _storages("the study's model", lambda: model, tied=tied, dtype=dtype)
    if isinstance(model, Transformer) and model.embedding.projection is None and subject.tokens.shape[1] > 1:
        yield _both_uses("the study's model: gradient", model, subject.tokens[:ROWS])


def _treatments(model: Either) -> dict[str, Callable[[], Either]]:
    treatments: dict[str, Callable[[], Either]] = {
        "building": lambda: model,
        "a copy": lambda: copy.deepcopy(model),
        ".to": lambda: copy.deepcopy(model).to(torch.bfloat16),
        "an update": lambda: _updated(copy.deepcopy(model)),
    }
    if isinstance(model, Transformer):
        treatments["loading"] = lambda: _loaded(model)
    return treatments


def _loaded(model: Transformer) -> Transformer:
    with TemporaryDirectory() as folder:
        save_checkpoint(Path(folder) / "model", model, {})
        return load_model(Path(folder) / "model", model.config)


def _updated(model: Either) -> Either:
    tokens = random_tokens(1, 5)
    inputs = (tokens,) if isinstance(model, Transformer) else (tokens, tokens)
    torch.autograd.backward(cross_entropy(model(*inputs), tokens))
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    return model


def _storages(case: str, treated: Callable[[], Either], *, tied: bool, dtype: torch.dtype) -> Check:
    """One storage if embeddings are tied and two otherwise; `compared` counts the values of the table."""

    def judge(model: Either) -> Judgement:
        table, output = model.embedding.weight, model.output.weight
        if (table.data_ptr() == output.data_ptr()) == tied:
            return Judgement(0.0, output.numel())
        problem = "the vectors have " + ("two storages" if tied else "one storage")
        return Judgement(math.inf, output.numel(), problems=[problem])

    return judged(case, dtype=dtype, tolerance=0.0, observed=treated, judge=judge)


def _both_uses(case: str, model: Transformer, tokens: Tensor) -> Check:
    """The gradient with respect to the table, or to both tables, against the gradients of the two uses."""
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    by_input, by_output = _uses_apart(model, inputs, targets)

    def observed() -> dict[str, Tensor]:
        loss = cross_entropy(model(inputs), targets)
        table, output = model.embedding.weight, model.output.weight
        if model.config.tie_embeddings:
            return {"sum of both uses": torch.autograd.grad(loss, table)[0]}
        return dict(zip(("input", "output"), torch.autograd.grad(loss, (table, output)), strict=True))

    tied = {"sum of both uses": by_input + by_output}
    apart = {"input": by_input, "output": by_output}
    return compare_named(case, reference=tied if model.config.tie_embeddings else apart, observed=observed)


def _uses_apart(model: Transformer, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients with respect to the embedded vectors, summed per token, and to the output's weights, both
    (V, C).
    """
    table = model.embedding.weight.detach()
    top = table if model.unembedding is None else model.unembedding.weight.detach()
    vectors, weights = table[inputs].requires_grad_(), top.clone().requires_grad_()
    bias = None if model.output_bias is None else model.output_bias.bias
    projection = OutputProjection(
        weight=weights, bias=bias, scale=model.output_scale, soft_cap=model.output_settings.soft_cap
    )
    hidden = model.run(vectors, scale=model.embedding.scale)
    loss = cross_entropy(projection.logits(hidden), targets)
    by_vectors, by_weights = torch.autograd.grad(loss, (vectors, weights))
    by_table = torch.zeros_like(table).index_add_(0, inputs.flatten(), by_vectors.flatten(0, 1))
    return by_table, by_weights
