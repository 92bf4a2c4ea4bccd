"""Whether the names and sentences of a study fit where they are shown. Only what a person writes now is
checked, so that the studies of earlier runs can always be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.config import IDENTIFIER_RULE, is_identifier
from harness.study.checks.checker import StudyChecker
from harness.study.levels import level_name
from harness.study.reading.yaml_document import KeyPath

LONGEST_SENTENCE, LONGEST_NAME = 1000, 200
"""Characters of a question or a statement; and of a level or a source."""

LONGEST_OF_A_CLAIM = {
    "source": LONGEST_NAME,
    "says": LONGEST_SENTENCE,
    "because": LONGEST_SENTENCE,
    "exploratory": LONGEST_SENTENCE,
}


def check_texts(checker: StudyChecker) -> None:
    """Raises StudyError if the id of a claim is not a valid name, or if a name or a sentence is too long."""
    for path, text, longest in _texts(checker):
        if len(text) > longest:
            name = ".".join(map(str, path))
            checker.fail(
                path, f"{name}: must have at most {longest:,} characters, but has {len(text):,}", value=True
            )


def _texts(checker: StudyChecker) -> Iterator[tuple[KeyPath, str, int]]:
    study: Any = checker.study
    yield ("question",), study.question, LONGEST_SENTENCE
    for section in ("compare", "across"):
        for factor, levels in getattr(study, section).items():
            for index, level in enumerate(levels):
                yield (section, factor, index), level_name(level), LONGEST_NAME
    for name, reason in study.margin_reasons.items():
        yield ("margin_reasons", name), reason, LONGEST_SENTENCE
    for index, reference in enumerate(study.references):
        yield ("references", index, "source"), reference.source, LONGEST_NAME
    for claim_id, claim in getattr(study, "claims", {}).items():
        path = ("claims", claim_id)
        if not is_identifier(claim_id):
            checker.fail(path, f"{claim_id!r} is not a valid id of a claim", hint=IDENTIFIER_RULE)
        for key, longest in LONGEST_OF_A_CLAIM.items():
            yield (*path, key), getattr(claim, key, None) or "", longest
