"""Comparing what should be the same. Imported when checks run, never to list them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor

from harness.invariants.base import TOLERANCES, Check, tolerance_of

# Below this gap between the two best logits, rounding may decide which token is the best.
DECISIVE_GAP = 1e-4
MOST_SKIPPED = 0.01

# What a bug may raise where the reference of the same shape did not: a failed check, not a crash.
BROKEN = (RuntimeError, ValueError, IndexError, TypeError, AttributeError)


def failed(error: BaseException) -> str:
    """One line on what was raised."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def compare(
    case: str,
    *,
    reference: Tensor,
    observed: Callable[[], Tensor],
    tokens: bool = False,
    tolerances: Mapping[str, float] = TOLERANCES,
) -> Check:
    """The logits (..., V) that `observed` computes against the reference, position by position.

    With `tokens` the best token must agree too wherever the reference's two best logits are a decisive gap
    apart; at most 1 % of positions may be undecided. Nothing to compare is a failure, and so is code that
    raises.
    """
    precision, tolerance = tolerance_of(reference.dtype, tolerances)
    problems: list[str] = []
    deviation, compared, skipped = math.inf, 0, 0
    try:
        logits = observed()
    except BROKEN as error:
        problems.append(failed(error))
    else:
        if logits.shape != reference.shape:
            problems.append(f"shape {tuple(logits.shape)} instead of {tuple(reference.shape)}")
        elif not reference.numel():
            problems.append("nothing was compared")
        else:
            compared = reference.shape[:-1].numel()
            deviation = relative_deviation(reference, logits)
            if not deviation <= tolerance:  # so that NaN is a failure
                problems.append(f"logits differ, first at {_first_beyond(reference, logits, tolerance)}")
            if tokens:
                skipped, different = _tokens(reference, logits, decisive_gap(reference))
                if different:
                    problems.append(f"{different} of {compared} tokens differ")
                if too_many(skipped, compared, reference.dtype):
                    problems.append(f"{skipped} of {compared} positions have no decisive token")
    return Check(
        case=case,
        precision=precision,
        passed=not problems,
        deviation=deviation,
        tolerance=tolerance,
        compared=compared,
        skipped=skipped,
        detail="; ".join(problems),
    )


def compare_named(
    case: str,
    *,
    reference: Mapping[str, Tensor],
    observed: Callable[[], Mapping[str, Tensor]],
    tolerances: Mapping[str, float] = TOLERANCES,
    gradients: Collection[str] = (),
) -> Check:
    """Tensors by name (a loss, gradients, parameters), each against its own largest value; `compared` counts
    values.

    Of those that are named as `gradients`, one below √tolerance of the largest is measured by that: by a bias
    on keys, say, a gradient is nothing but rounding. The precision is the reference's; NaN on both sides is a
    difference.
    """
    precision, tolerance = tolerance_of(next(iter(reference.values())).dtype, tolerances)
    problems: list[str] = []
    deviation, compared = math.inf, 0
    try:
        found = observed()
    except BROKEN as error:
        problems.append(failed(error))
    else:
        missing = sorted(reference.keys() ^ found.keys())
        if missing:
            problems.append(f"only one side has {', '.join(missing)}")
        else:
            compared = sum(tensor.numel() for tensor in reference.values())
            deviations = _deviations(reference, found, _sizes(reference, gradients, tolerance))
            worst = max(deviations, key=lambda name: _rank(deviations[name]))
            deviation = deviations[worst]
            if not deviation <= tolerance:
                beyond = sum(not each <= tolerance for each in deviations.values())
                problems.append(f"{beyond} of {len(deviations)} tensors differ, most of all {worst}")
            if not compared:
                problems.append("nothing was compared")
    return Check(
        case=case,
        precision=precision,
        passed=not problems,
        deviation=deviation,
        tolerance=tolerance,
        compared=compared,
        skipped=0,
        detail="; ".join(problems),
    )


def _sizes(reference: Mapping[str, Tensor], gradients: Collection[str], tolerance: float) -> dict[str, float]:
    """What a difference of each tensor is divided by."""
    largest = {name: float(each.abs().max()) if each.numel() else 0.0 for name, each in reference.items()}
    most = max((largest[name] for name in gradients), default=0.0)
    small = {name for name in gradients if largest[name] < math.sqrt(tolerance) * most}
    return {name: most if name in small else size for name, size in largest.items()}


def _deviations(
    reference: Mapping[str, Tensor], found: Mapping[str, Tensor], sizes: Mapping[str, float]
) -> dict[str, float]:
    deviations = {}
    for name, tensor in reference.items():
        other = found[name]
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
    """How far apart the two best logits must be for the best token to be told: in 16 bits, twice what may
    differ.
    """
    if reference.dtype.itemsize > 2:
        return DECISIVE_GAP
    return 2 * tolerance_of(reference.dtype)[1] * float(reference.abs().max())


def too_many(skipped: int, compared: int, dtype: torch.dtype) -> bool:
    """Whether too few tokens were told.

    In 16 bits near ties are common: there it is enough that some were.
    """
    if dtype.itemsize > 2:
        return skipped > MOST_SKIPPED * compared
    return skipped == compared


def relative_deviation(reference: Tensor, observed: Tensor) -> float:
    """max|Δ| / max|reference|; NaN where either holds one, infinite against a reference of zeros."""
    difference = float((observed - reference).abs().max())
    largest = float(reference.abs().max())
    if difference == 0.0:
        return 0.0
    return difference / largest if largest else math.inf


def _tokens(reference: Tensor, observed: Tensor, gap: float) -> tuple[int, int]:
    """Positions without a decisive gap, and the others where the best token differs."""
    best = reference.topk(2, dim=-1).values
    decisive = best[..., 0] - best[..., 1] > gap
    different = decisive & (reference.argmax(dim=-1) != observed.argmax(dim=-1))
    return int((~decisive).sum()), int(different.sum())


def _first_beyond(reference: Tensor, observed: Tensor, tolerance: float) -> str:
    """The earliest position, and in it the first row, that is not within tolerance."""
    within = (observed - reference).abs() <= tolerance * reference.abs().max()
    places = (~within).any(dim=-1).nonzero().tolist()  # [row …, position]
    *row, position = min(places, key=lambda place: (place[-1], place))
    return f"position {position}" + (f" of row {row[0]}" if row else "")
