"""What cannot be decoded with is refused when it is read, in one line that says what to do."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from harness.models.decoding.config import (
    BeamSearch,
    GNMTPenalty,
    Greedy,
    MinP,
    Sampling,
    Speculative,
    Temperature,
    TopK,
    TopP,
)
from tests.models.decoding.settings import decoding_config


def test_each_kind_is_read() -> None:
    assert decoding_config({"kind": "greedy"}) == Greedy()
    filters = [{"kind": "temperature", "value": 0.7}, {"kind": "top-k", "k": 5}, {"kind": "top-p", "p": 0.9}]
    assert decoding_config(
        {"kind": "sampling", "filters": [*filters, {"kind": "min-p", "p": 0.1}]}
    ) == Sampling(filters=(Temperature(value=0.7), TopK(k=5), TopP(p=0.9), MinP(p=0.1)))
    beam = {"kind": "beam", "width": 5, "length_penalty": {"kind": "gnmt", "alpha": 0.2}}
    assert decoding_config(beam) == BeamSearch(width=5, length_penalty=GNMTPenalty(alpha=0.2))
    assert decoding_config({"kind": "speculative", "choose": {"kind": "sampling", "seed": 3}}) == Speculative(
        choose=Sampling(seed=3)
    )


def sampling(**setting: Any) -> dict[str, Any]:
    return {"kind": "sampling", "filters": [setting]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            sampling(kind="temperature", value=0),
            "use a value above 0, or greedy, which is the limit at 0",
        ),
        (sampling(kind="temperature", value=-0.5), "temperature -0.5 does not define a distribution"),
        (sampling(kind="temperature", value=float("nan")), "should be a finite number"),
        (sampling(kind="top-k", k=0), "filters.0.top-k.k\n  Input should be greater than 0"),
        (sampling(kind="top-p", p=0), "filters.0.top-p.p\n  Input should be greater than 0"),
        (sampling(kind="top-p", p=1.1), "less than or equal to 1"),
        (sampling(kind="min-p", p=0), "greater than 0"),
        (sampling(kind="top_p", p=0.5), "does not match any of the expected tags"),
        ({"kind": "sampling", "seed": -1}, "greater than or equal to 0"),
        ({"kind": "beam", "width": 0}, "greater than 0"),
        ({"kind": "beam"}, "beam.width\n  Field required"),
        (
            {"kind": "beam", "width": 3, "n_best": 4},
            "n_best 4 exceeds the beam's width 3; increase width or reduce n_best",
        ),
        ({"kind": "beam", "width": 3, "length_penalty": {"kind": "gnmt", "alpha": -1}}, "equal to 0"),
        ({"kind": "beam", "width": 3, "no_repeat_ngram": 0}, "greater than 0"),
        ({"kind": "speculative", "draft_tokens": 0}, "greater than 0"),
        (
            {"kind": "speculative", "choose": {"kind": "beam", "width": 2}},
            "expected tags: 'greedy', 'sampling'",
        ),
        ({"kind": "greedy", "width": 3}, "greedy.width\n  Extra inputs are not permitted"),
        ({"kind": "beams"}, "expected tags: 'greedy', 'sampling', 'beam', 'speculative'"),
        ({}, "Unable to extract tag"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        decoding_config(settings)
    assert message in str(refusal.value)


def test_settings_are_frozen_and_do_without_torch() -> None:
    settings = BeamSearch(width=2)
    with pytest.raises(ValidationError, match="frozen"):
        settings.width = 3  # type: ignore[misc]
    code = "import sys, harness.models.decoding.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
