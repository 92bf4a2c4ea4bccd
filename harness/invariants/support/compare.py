"""Comparisons of tensors that should be the same, and of decoded tokens with the best ones of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from harness.invariants.base import TOLERANCES, Check, tolerance_of

# Below this gap between the two best logits, rounding may decide which token is the best.
DECISIVE_GAP = 1e-4
MOST_SKIPPED = 0.01

# What a bug may raise although the reference of the same shape did not: a failed check, not a crash.
BROKEN = (RuntimeError, ValueError, IndexError, TypeError, AttributeError)


T = TypeVar("T")


def error_line(error: BaseException) -> str:
    """The error's type and message in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


class Judgement(NamedTuple):
    """What a comparison says: how much was compared, how far it is from the reference, and what is wrong.

    The check fails if there are problems.
    """

    deviation: float
    compared: int = 0
    skipped: int = 0
    problems: Sequence[str] = ()


def judged(
    case: str,
    *,
    dtype: torch.dtype,
    tolerance: float,
    observed: Callable[[], T],
    judge: Callable[[T], Judgement],
) -> Check:
    """The check of what `observed` returns. It fails, and nothing was compared, if `observed` raises one of
    the errors that a bug may cause.
    """
    try:
        value = observed()
    except BROKEN as error:
        judgement = Judgement(math.inf, problems=[error_line(error)])
    else:
        judgement = judge(value)
    return Check(
        case=case,
        precision=tolerance_of(dtype)[0],
        passed=not judgement.problems,
        deviation=judgement.deviation,
        tolerance=tolerance,
        compared=judgement.compared,
        skipped=judgement.skipped,
        detail="; ".join(judgement.problems),
    )


def compare(
    case: str,
    *,
    reference: Tensor,
    observed: Callable[[], Tensor],
    tokens: bool = False,
    tolerances: Mapping[str, float] = TOLERANCES,
) -> Check:
    """Compare the logits (..., V) that `observed` returns with the reference, position by position.

    With `tokens` the best token must be the same too wherever the difference between the reference's two best
    logits is decisive; at most 1 % of positions may be undecided. The check fails if nothing was compared or
    if `observed` raises an error.
    """
    _, tolerance = tolerance_of(reference.dtype, tolerances)

    def judge(logits: Tensor) -> Judgement:
        if logits.shape != reference.shape:
            problem = f"shape {tuple(logits.shape)} instead of {tuple(reference.shape)}"
            return Judgement(math.inf, problems=[problem])
        if not reference.numel():
            return Judgement(math.inf, problems=["nothing was compared"])
        compared, skipped = reference.shape[:-1].numel(), 0
        deviation = relative_deviation(reference, logits)
        problems = []
        if not deviation <= tolerance:  # so that NaN is a failure
            problems.append(f"logits differ, first at {_first_beyond(reference, logits, tolerance)}")
        if tokens:
            skipped, different = _tokens(reference, logits, decisive_gap(reference))
            if different:
                problems.append(f"{different} of {compared} tokens differ")
            problems += too_many_skipped(skipped, compared, reference.dtype)
        return Judgement(deviation, compared, skipped, problems)

    return judged(case, dtype=reference.dtype, tolerance=tolerance, observed=observed, judge=judge)


def compare_named(
    case: str,
    *,
    reference: Mapping[str, Tensor],
    observed: Callable[[], Mapping[str, Tensor]],
    tolerances: Mapping[str, float] = TOLERANCES,
    gradients: Collection[str] = (),
) -> Check:
    """Compare named tensors (a loss, gradients, parameters), each relative to its own largest value;
    `compared` counts values.

    A tensor in `gradients` that is smaller than √tolerance of the largest gradient is compared relative to
    the largest one, because it may consist of rounding errors, as the gradient of a bias on keys does. The
    precision is the reference's. NaN on both sides is a difference.
    """
    dtype = next(iter(reference.values())).dtype
    _, tolerance = tolerance_of(dtype, tolerances)

    def judge(tensors: Mapping[str, Tensor]) -> Judgement:
        missing = sorted(reference.keys() ^ tensors.keys())
        if missing:
            return Judgement(math.inf, problems=[f"only one side has {', '.join(missing)}"])
        compared = sum(tensor.numel() for tensor in reference.values())
        deviations = _deviations(reference, tensors, _sizes(reference, gradients, tolerance))
        worst = max(deviations, key=lambda name: _rank(deviations[name]))
        problems = [] if compared else ["nothing was compared"]
        beyond = sum(not value <= tolerance for value in deviations.values())  # NaN is beyond it
        if beyond:
            problems.append(f"{beyond} of {len(deviations)} tensors differ, most of all {worst}")
        return Judgement(deviations[worst], compared, problems=problems)

    return judged(case, dtype=dtype, tolerance=tolerance, observed=observed, judge=judge)


def _sizes(reference: Mapping[str, Tensor], gradients: Collection[str], tolerance: float) -> dict[str, float]:
    """The size by which a difference of each tensor is divided."""
    largest = {
        name: float(tensor.abs().max()) if tensor.numel() else 0.0 for name, tensor in reference.items()
    }
    most = max((largest[name] for name in gradients), default=0.0)
    small = {name for name in gradients if largest[name] < math.sqrt(tolerance) * most}
    return {name: most if name in small else size for name, size in largest.items()}


def _deviations(
    reference: Mapping[str, Tensor], tensors: Mapping[str, Tensor], sizes: Mapping[str, float]
) -> dict[str, float]:
    deviations = {}
    for name, tensor in reference.items():
        other = tensors[name]
        if other.shape != tensor.shape or other.dtype != tensor.dtype:
            deviations[name] = math.inf
        elif torch.equal(tensor, other):
            deviations[name] = 0.0
        else:
            difference = float((other.double() - tensor.double()).abs().max())
            deviations[name] = difference / sizes[name] if sizes[name] else math.inf
    return deviations


def _rank(deviation: float) -> float:
    return math.inf if math.isnan(deviation) else deviation


def decisive_gap(reference: Tensor) -> float:
    """The smallest difference between the two best logits at which the best token is certain: in 16 bits,
    twice the tolerance.
    """
    if reference.dtype.itemsize > 2:
        return DECISIVE_GAP
    return 2 * tolerance_of(reference.dtype)[1] * float(reference.abs().max())


def too_many_skipped(skipped: int, compared: int, dtype: torch.dtype) -> list[str]:
    """The problem if too few positions had a decisive token.

    In 16 bits near ties are common, so that one decisive position is enough.
    """
    too_many = skipped > MOST_SKIPPED * compared if dtype.itemsize > 2 else skipped == compared
    return [f"{skipped} of {compared} positions have no decisive token"] if too_many else []


def relative_deviation(reference: Tensor, observed: Tensor) -> float:
    """max|Δ| / max|reference|; NaN where either holds one, infinite against a reference of zeros."""
    difference = float((observed - reference).abs().max())
    largest = float(reference.abs().max())
    if difference == 0.0:
        return 0.0
    return difference / largest if largest else math.inf


def _tokens(reference: Tensor, observed: Tensor, gap: float) -> tuple[int, int]:
    """The numbers of positions without a decisive gap and of others where the best token differs."""
    best = reference.topk(2, dim=-1).values
    decisive = best[..., 0] - best[..., 1] > gap
    different = decisive & (reference.argmax(dim=-1) != observed.argmax(dim=-1))
    return int((~decisive).sum()), int(different.sum())


def _first_beyond(reference: Tensor, observed: Tensor, tolerance: float) -> str:
    """The earliest position that is not within tolerance, and its first row."""
    within = (observed - reference).abs() <= tolerance * reference.abs().max()
    beyond = (~within).any(dim=-1).nonzero().tolist()  # [row …, position]
    *row, position = min(beyond, key=lambda index: (index[-1], index))
    return f"position {position}" + (f" of row {row[0]}" if row else "")


def compare_greedy(
    case: str,
    *,
    forced: Callable[[Tensor], Tensor],
    prompts: Tensor,
    observed: Callable[[], Tensor],
    dtype: torch.dtype,
) -> Check:
    """Compare the tokens (B, N) that `observed` decodes with the best tokens under teacher forcing.

    `forced` returns the logits (B, T, V) of tokens (B, T), without a cache, in `dtype`. A position counts if
    the difference between its two best logits is decisive; at most 1 % of positions may be undecided.
    `deviation` says how far the tokens' logits are below the best ones. The check fails if `observed` raises
    an error.
    """

    def decoded() -> tuple[Tensor, Tensor]:
        tokens = observed()
        return tokens, _teacher_forced(forced, prompts, tokens)

    def judge(tokens_and_logits: tuple[Tensor, Tensor]) -> Judgement:
        tokens, logits = tokens_and_logits  # (B, N), (B, N, V)
        best = logits.topk(2, dim=-1).values
        undecided = best[..., 0] - best[..., 1] <= decisive_gap(logits)
        below = (best[..., 0] - logits.gather(2, tokens[..., None]).squeeze(2)).masked_fill(undecided, 0.0)
        compared, skipped = tokens.numel(), int(undecided.sum())
        problems = too_many_skipped(skipped, compared, logits.dtype)
        different = int((below > 0).sum())
        if different:
            row, position = (below > 0).nonzero()[0].tolist()
            first = f"first at position {position} of row {row}"
            problems.insert(0, f"{different} of {compared} tokens differ, {first}")
        return Judgement(float(below.max() / logits.abs().max()), compared, skipped, problems)

    return judged(case, dtype=dtype, tolerance=tolerance_of(dtype)[1], observed=decoded, judge=judge)


@torch.inference_mode()
def _teacher_forced(forced: Callable[[Tensor], Tensor], prompts: Tensor, tokens: Tensor) -> Tensor:
    """The logits (B, N, V) from which each token was chosen, in one pass without a cache."""
    logits = forced(torch.cat((prompts, tokens[:, :-1]), dim=1))
    return logits[:, prompts.shape[1] - 1 :]
