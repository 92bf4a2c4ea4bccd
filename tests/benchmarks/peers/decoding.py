"""One generation: every row of a batch continued greedily by the same number of tokens."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.models.cpu_decoding import prepare_for_decoding
from harness.models.decoding.greedy import greedy
from tests.benchmarks.peers.cases import Case, Tuning
from tests.benchmarks.peers.plain_gpt import random_tokens
from tests.benchmarks.peers.same_weights import ctranslate, hugging_face, ours


def decoding_unit(case: Case, contestant: str, tuning: Tuning, threads: int) -> Callable[[], Tensor]:
    """A function that returns the new tokens (B, tokens); everyone has the same weights and must return the
    same.
    """
    prompt = random_tokens(case.batch, case.prompt, vocab_size=case.size.vocab_size, seed=0)
    match contestant:
        case "ours":
            return _ours(case, prompt)
        case "HF GPT-2":
            return _hugging_face(case, prompt, tuning)
        case "CTranslate2":
            return _ctranslate(case, prompt, threads)
        case _:
            raise ValueError(f"nobody decodes as {contestant!r}")


def _positions(case: Case) -> int:
    return case.prompt + case.tokens


def _ours(case: Case, prompt: Tensor) -> Callable[[], Tensor]:
    model = prepare_for_decoding(ours(case.size, positions=_positions(case)).eval())
    return lambda: greedy(model, prompt, new_tokens=case.tokens, cache="static")


def _hugging_face(case: Case, prompt: Tensor, tuning: Tuning) -> Callable[[], Tensor]:
    model: Any = hugging_face(case.size, positions=_positions(case), tuning=tuning)
    model.eval()
    mask = torch.ones_like(prompt)

    def generate() -> Tensor:
        with torch.inference_mode():
            tokens: Tensor = model.generate(
                prompt,
                attention_mask=mask,
                max_new_tokens=case.tokens,
                min_new_tokens=case.tokens,
                do_sample=False,
                pad_token_id=0,
            )
        return tokens[:, case.prompt :]

    return generate


def _ctranslate(case: Case, prompt: Tensor, threads: int) -> Callable[[], Tensor]:
    folder = tempfile.TemporaryDirectory(prefix="peers-")
    engine = ctranslate(
        case.size,
        Path(folder.name) / "model",
        positions=_positions(case),
        threads=threads,
    )
    folder.cleanup()
    rows = [[str(token) for token in row] for row in prompt.tolist()]

    def generate() -> Tensor:
        results = engine.generate_batch(
            rows,
            max_batch_size=case.batch,
            max_length=case.tokens,
            min_length=case.tokens,
            sampling_topk=1,
            include_prompt_in_result=False,
        )
        return torch.tensor([result.sequences_ids[0] for result in results])

    return generate
