"""The checks of speculative-target."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from scipy.stats import chi2
from torch import Tensor

from harness.invariants.base import Check, cache_kind
from harness.invariants.subjects import WritingSubject
from harness.invariants.support.compare import Judgement, compare_greedy, judged
from harness.invariants.support.tiny import random_prompts, tiny_model
from harness.models.cache import Cache
from harness.models.config import CacheKind
from harness.models.decoding.base import PassThrough, Scorer
from harness.models.decoding.config import Sampling, Speculative, Temperature
from harness.models.decoding.speculative import TargetAndDraft, speculative
from harness.models.transformer import Transformer

# The number of draws, and the probability that a correct sampler fails the test.
DRAWS, FALSE_ALARM = 2000, 1e-4
VOCABULARY, NEW_TOKENS = 4, 3
# Flat, so that many sequences are likely and a rejected token could be drawn again by mistake.
FLAT = Temperature(value=3.0)


class StumblingDraft(PassThrough):
    """The target itself, except that in every second call it mistakes each token for its neighbour. Its
    proposals are often right and often wrong.
    """

    def __init__(self, model: Scorer) -> None:
        super().__init__(model)
        self._calls = 0

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        logits = super().next_logits(tokens, cache=cache, valid=valid)
        self._calls += 1
        return logits.roll(1, dims=-1) if self._calls % 2 == 0 else logits


def generic_checks(level: str) -> Iterator[Check]:
    kind = cache_kind(level)
    for dtype in (torch.float64, torch.float32):
        model, prompts = tiny_model(vocabulary=23, dtype=dtype), random_prompts(3, 5, vocabulary=23)
        yield _greedy("greedy tokens", WritingSubject(model=model, tokens=prompts, new_tokens=20, cache=kind))
        yield _sampled(tiny_model(vocabulary=VOCABULARY, dtype=dtype), kind=kind)


def subject_checks(subject: WritingSubject) -> Iterator[Check]:
    yield _greedy("greedy tokens on the study's prompts", subject)


def _greedy(case: str, subject: WritingSubject) -> Check:
    parameter = next(subject.model.parameters())
    prompts = subject.tokens.to(parameter.device)

    def tokens() -> Tensor:
        target = subject.decodable
        return speculative(
            TargetAndDraft(target=target, draft=StumblingDraft(target)),
            prompts,
            Speculative(),
            new_tokens=subject.new_tokens,
            cache=subject.cache,
        ).tokens

    return compare_greedy(
        case, forced=subject.logits, prompts=prompts, observed=tokens, dtype=parameter.dtype
    )


def _sampled(model: Transformer, *, kind: CacheKind) -> Check:
    """Chi-square over all sequences of three tokens; `deviation` is the statistic, `tolerance` its critical
    value.
    """
    prompt = random_prompts(1, 4, vocabulary=VOCABULARY)
    wanted = _probabilities(model, prompt) * DRAWS
    expected = _rare_together(wanted, wanted)
    critical = float(chi2.ppf(1 - FALSE_ALARM, df=len(expected) - 1))
    settings = Speculative(draft_tokens=2, choose=Sampling(filters=(FLAT,), seed=1))
    pair = TargetAndDraft(target=model, draft=StumblingDraft(model))

    def observed() -> Tensor:
        prompts = prompt.expand(DRAWS, -1)
        return speculative(pair, prompts, settings, new_tokens=NEW_TOKENS, cache=kind).tokens

    def judge(drawn: Tensor) -> Judgement:
        powers = torch.tensor([VOCABULARY**power for power in reversed(range(NEW_TOKENS))])
        counts = torch.bincount((drawn * powers).sum(dim=1), minlength=len(wanted))
        statistic = float(((_rare_together(counts, wanted) - expected) ** 2 / expected).sum())
        problem = f"{DRAWS} draws of {NEW_TOKENS} tokens do not follow the target: chi-square {statistic:.0f}"
        return Judgement(statistic, DRAWS, problems=[] if statistic <= critical else [problem])

    dtype = next(model.parameters()).dtype
    return judged("sampled tokens", dtype=dtype, tolerance=critical, observed=observed, judge=judge)


@torch.inference_mode()
def _probabilities(model: Transformer, prompt: Tensor) -> Tensor:
    """The probabilities (64,), in float64, of all sequences of three tokens after a prompt (1, P), by teacher
    forcing.
    """
    every = torch.tensor(list(product(range(VOCABULARY), repeat=NEW_TOKENS)))
    logits = model(torch.cat((prompt.expand(len(every), -1), every), dim=1))[:, prompt.shape[1] - 1 : -1]
    steps = (logits.double() / FLAT.value).log_softmax(dim=-1).gather(2, every[:, :, None])
    probabilities: Tensor = steps.sum(dim=(1, 2)).exp()
    return probabilities


def _rare_together(counts: Tensor, expected: Tensor) -> Tensor:
    """Cells that are expected less than five times are merged, because the statistic would not follow the
    chi-square distribution with them.
    """
    rare = expected < 5
    return torch.cat((counts[~rare], counts[rare].sum()[None]))
