"""One update of training: forward, backward, clipped gradients, AdamW.

The same data and optimizer for everyone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from harness.models.init import build_model
from harness.models.loss import cross_entropy, loss_of_hidden
from harness.tasks.training_task import CHUNKED
from harness.training.optim import AdamW
from tests.benchmarks.peers.cases import Case, Tuning
from tests.benchmarks.peers.plain_gpt import PlainGPT, TorchEncoderGPT, TorchTranslator, random_tokens
from tests.benchmarks.peers.same_weights import hugging_face, ours
from tests.benchmarks.peers.translation import marian
from tests.models.configs import encoder_decoder_config

Loss = Callable[[], Tensor]


def training_unit(case: Case, contestant: str, tuning: Tuning) -> Callable[[], float]:
    """A function that makes one update and returns its loss."""
    build = _decoder_only if case.task == "train" else _encoder_decoder
    model, loss_of = build(case, contestant, tuning)
    model.train()
    optimizer = AdamW(lr=1e-4).build(model)

    def update() -> float:
        with _precision(case):
            loss = loss_of()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return update


def _precision(case: Case) -> AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16) if case.precision == "bf16" else nullcontext()


def _decoder_only(case: Case, contestant: str, tuning: Tuning) -> tuple[nn.Module, Loss]:
    size, length = case.size, case.tokens
    tokens = random_tokens(case.batch, length + 1, vocab_size=size.vocab_size, seed=0)
    inputs, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    if contestant == "HF GPT-2":
        peer: nn.Module = hugging_face(size, positions=length, tuning=tuning)
        run = _maybe_compiled(peer, case)
        return peer, lambda: run(input_ids=inputs, labels=inputs, use_cache=False).loss
    model: nn.Module
    match contestant:
        case "ours":
            return _ours(case, inputs, targets)
        case "nn.TransformerEncoder":
            model = TorchEncoderGPT(size, positions=length)
        case "nanoGPT-like":
            model = PlainGPT(size, positions=length)
        case _:
            raise ValueError(f"nobody trains a decoder as {contestant!r}")
    forward = _maybe_compiled(model, case)
    return model, lambda: cross_entropy(forward(inputs), targets)


def _ours(case: Case, inputs: Tensor, targets: Tensor) -> tuple[nn.Module, Loss]:
    """As the task `train` does it."""
    model = ours(case.size, positions=case.tokens)
    return model, _maybe_compiled(
        lambda: loss_of_hidden(model.hidden(inputs), model.output, targets, CHUNKED), case
    )


def _encoder_decoder(case: Case, contestant: str, tuning: Tuning) -> tuple[nn.Module, Loss]:
    """`tuning` changes nothing in these models; the process that they run in has the allocator's settings."""
    del tuning
    size, length = case.size, case.tokens
    source = random_tokens(case.batch, length, vocab_size=size.vocab_size, seed=0)
    tokens = random_tokens(case.batch, length + 1, vocab_size=size.vocab_size, seed=1)
    target, labels = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    if contestant == "HF Marian":
        peer: nn.Module = marian(case.size, positions=2 * case.tokens)
        run = _maybe_compiled(peer, case)
        return (
            peer,
            lambda: run(input_ids=source, decoder_input_ids=target, labels=labels, use_cache=False).loss,
        )
    model: nn.Module
    match contestant:
        case "ours":
            settings = {"preset": "000-mt", "dropout": 0.0, "attention": {"projection": "fused"}}
            mine = build_model(encoder_decoder_config(settings, vocab_size=size.vocab_size), 0)
            return mine, _maybe_compiled(
                lambda: loss_of_hidden(mine.hidden(source, target), mine.output, labels, CHUNKED), case
            )
        case "nn.Transformer":
            model = TorchTranslator(size, positions=length)
        case _:
            raise ValueError(f"nobody trains an encoder-decoder as {contestant!r}")
    forward = _maybe_compiled(model, case)
    return model, lambda: cross_entropy(forward(source, target), labels)


def _maybe_compiled(run: Callable[..., Any], case: Case) -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(run) if case.compiled else run
    return compiled
