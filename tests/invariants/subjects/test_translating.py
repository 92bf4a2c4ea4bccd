"""Invariants of the model on an arm that translates, with padded sources and inputs of a decoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.invariants.base import Invariant
from harness.invariants.registry import INVARIANTS
from harness.invariants.subjects import Subject, WritingSubject
from harness.invariants.support.tiny import random_tokens, translator_config
from harness.models.init import build_model

OF_EVERY_MODEL = [
    pytest.param(invariant, id=name)
    for name, invariant in INVARIANTS.items()
    if invariant.needs in (Subject, WritingSubject)
]


def arm() -> WritingSubject:
    sources = random_tokens(3, 9).clamp(min=1)
    sources[1, 5:] = 0
    model = build_model(translator_config({"position": {"kind": "learned"}}), 0).eval()
    tokens = random_tokens(3, 7, seed=1)
    return WritingSubject(model=model, tokens=tokens, sources=sources, new_tokens=6, cache="dynamic")


@pytest.mark.parametrize("invariant", OF_EVERY_MODEL)
def test_it_holds(invariant: Invariant[Any]) -> None:
    subject = arm()
    assert invariant.level_of(subject) in invariant.levels
    checks = list(invariant.check_subject(subject))
    assert checks
    assert [check for check in checks if not check.passed] == []


@pytest.mark.parametrize(
    "name",
    [
        "padding-parity/source-padding-attended",
        "causality/causal-flag-lost",
        "tied-embeddings/output-copied",
        "speculative-target/not-rolled-back",
        "speculative-target/accepted-after-a-rejection",
    ],
)
def test_a_planted_bug_is_found(name: str) -> None:
    invariant, _, bug = name.partition("/")
    subject = arm()
    with INVARIANTS[invariant].planted_bug(bug).plant():
        assert not all(check.passed for check in INVARIANTS[invariant].check_subject(subject))


def test_the_model_ignores_the_padding_of_a_source() -> None:
    subject = arm()
    assert subject.sources is not None
    alone = Subject(model=subject.model, tokens=subject.tokens[1:2], sources=subject.sources[1:2, :5])
    with torch.inference_mode():
        torch.testing.assert_close(subject.logits(subject.tokens)[1:2], alone.logits(alone.tokens))
