"""Comparing what should be the same logits. Imported when checks run, never to list them."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from harness.invariants.base import Check, tolerance_of

# Below this gap between the two best logits, rounding may decide which token is the best.
DECISIVE_GAP = 1e-4
MOST_SKIPPED = 0.01


def compare(
    case: str, *, reference: Tensor, observed: Callable[[], Tensor], tokens: bool = False, exact: bool = False
) -> Check:
    """The logits (..., V) that `observed` computes against the reference, position by position.

    With `tokens` the best token must agree too wherever the reference's two best logits are a decisive gap apart;
    at most 1 % of positions may be undecided. `exact` allows no rounding. Nothing to compare is a failure, and so
    is code that raises: the reference of the same shape did not.
    """
    precision, tolerance = tolerance_of(reference.dtype)
    tolerance = 0.0 if exact else tolerance
    problems: list[str] = []
    deviation, compared, skipped = math.inf, 0, 0
    try:
        logits = observed()
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        problems.append(f"{type(error).__name__}: {' '.join(str(error).split())}")
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
                skipped, different = _tokens(reference, logits)
                if different:
                    problems.append(f"{different} of {compared} tokens differ")
                if skipped > MOST_SKIPPED * compared:
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


def relative_deviation(reference: Tensor, observed: Tensor) -> float:
    """max|Δ| / max|reference|; NaN where either holds one, infinite against a reference of zeros."""
    difference = float((observed - reference).abs().max())
    largest = float(reference.abs().max())
    if difference == 0.0:
        return 0.0
    return difference / largest if largest else math.inf


def _tokens(reference: Tensor, observed: Tensor) -> tuple[int, int]:
    """Positions without a decisive gap, and the others where the best token differs."""
    best = reference.topk(2, dim=-1).values
    decisive = best[..., 0] - best[..., 1] > DECISIVE_GAP
    different = decisive & (reference.argmax(dim=-1) != observed.argmax(dim=-1))
    return int((~decisive).sum()), int(different.sum())


def _first_beyond(reference: Tensor, observed: Tensor, tolerance: float) -> str:
    """The earliest position, and in it the first row, that is not within tolerance."""
    within = (observed - reference).abs() <= tolerance * reference.abs().max()
    places = (~within).any(dim=-1).nonzero().tolist()  # [row …, position]
    *row, position = min(places, key=lambda place: (place[-1], place))
    return f"position {position}" + (f" of row {row[0]}" if row else "")
