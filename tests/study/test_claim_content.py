"""Words change no claim; whatever it states makes it another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.study.claim_content import claim_digest
from tests.support.tiny_study import loaded

WORDS = [
    ("study: tiny", "study: renamed"),
    ("faster?", "slower?"),
    ("It is twice as fast.", "Twice."),
    ("source: here\n    says: It is", "source: there\n    says: It is"),
    ("  fast:\n", "  faster:\n"),
    ("[none, dynamic, static]", "[none, {ours: {cache: dynamic}}, static]"),
    ("[none, dynamic, static]", "[none, static, dynamic]"),
    ("[8, 16, 32]", "[8, 32]"),
    ("rounds: 10}", "rounds: 12}"),
    ("[cache-parity, cache-bytes]", "[cache-bytes, cache-parity]"),
    ("ratio: 2.0", "ratio: 2.0\n    within: 1.25"),
    ("ratio: 2.0", "ratio: 2.0\n    metric: decode_tokens_per_second"),
    ("primary:", "margins: {loss: 0.02}\nprimary:"),
    ("primary:", "parity: {differ: [flops]}\nprimary:"),
    (
        "primary:",
        "labels: {cache: {label: memory, levels: {none: no}}, new_tokens: {unit: tokens}}\nprimary:",
    ),
]
STATEMENTS = [
    ("ratio: 2.0", "ratio: 2.1"),
    ("ratio: 2.0", "ratio: 2.0\n    within: 1.3"),
    ("ratio: 2.0", "at_least: 2.0"),
    ("ratio: 2.0", "ratio: 2.0\n    metric: tokens_per_second"),
    ("ratio: 2.0", "ratio: 2.0\n    exploratory: too small"),
    ("ratio: 2.0", "ratio: 2.0\n    against: {cache: static}"),
    ("at: {new_tokens: 32}", "at: {new_tokens: 8}"),
    ("level: {cache: dynamic}\n    at", "level: {cache: static}\n    at"),
    ("level: {cache: dynamic}\n    at", "any_of: [{cache: dynamic}, {cache: static}]\n    at"),
    ("primary: decode_tokens_per_second", "primary: tokens_per_second"),
    ("primary:", "margins: {time: 0.1}\nprimary:"),
    ("rounds: 10}", "rounds: 10, exploratory: true}"),
    ("count: 2, tokens: 8", "count: 3, tokens: 8"),
]


def digest_of(folder: Path, *patches: tuple[str, str]) -> str:
    study = loaded(folder, *patches)
    claims = study.study.claims
    return claim_digest(study, claims.get("fast") or claims["faster"])


@pytest.mark.parametrize("change", WORDS)
def test_words_labels_and_settings_at_their_defaults_change_no_claim(
    tmp_path: Path, change: tuple[str, str]
) -> None:
    patches = [change]
    if "ours" in change[1]:
        patches += [
            ("level: {cache: dynamic}\n    at", "level: {cache: ours}\n    at"),
            ("level: {cache: dynamic}, trend", "level: {cache: ours}, trend"),
        ]
    if "[8, 32]" in change[1]:
        grows = "  grows: {source: here, says: The gain grows., level: {cache: dynamic}, "
        patches += [(grows + "trend: increasing, over: new_tokens}\n", "")]
        patches += [("    across: {new_tokens: [8, 32]}\n", "")]
    assert digest_of(tmp_path, *patches) == digest_of(tmp_path)


@pytest.mark.parametrize("change", STATEMENTS)
def test_what_a_claim_states_makes_it_another_claim(tmp_path: Path, change: tuple[str, str]) -> None:
    assert digest_of(tmp_path, change) != digest_of(tmp_path)


def test_every_form_has_a_digest_of_its_own(tmp_path: Path) -> None:
    study = loaded(tmp_path)
    digests = {claim_digest(study, claim) for claim in study.study.claims.values()}
    assert len(digests) == 4
    assert [claim.exact for claim in study.study.claims.values()] == [True, False, False, True]
