"""Labels belong to factors and levels that the study has, and tell them apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.study.load import load_study
from tests.study.load.refusals import cases, refusal_of_spoilt
from tests.support.tiny_study import FILE, STUDY, put, spoilt


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@cases(
    [
        (
            "a factor",
            "primary:",
            "labels: {cahce: {label: memory}}\nprimary:",
            "14:10: labels: there is no factor 'cahce'",
        ),
        (
            "a level",
            "primary:",
            "labels: {cache: {levels: {dynamc: grows}}}\nprimary:",
            "14:27: labels: cache has no level 'dynamc'",
        ),
        (
            "equal factors",
            "primary:",
            "labels: {cache: {label: x}, new_tokens: {label: x}}\nprimary:",
            "14:1: labels: two factors have the label 'x'",
        ),
        (
            "a level and the name of another",
            "primary:",
            "labels: {cache: {levels: {none: static}}}\nprimary:",
            "14:10: labels: two levels of cache have the label 'static'",
        ),
    ]
)
def test_a_wrong_label_is_refused(old: str, new: str, message: str) -> None:
    assert message in refusal_of_spoilt(old, new)


def test_a_scale_may_leave_out_what_has_a_label() -> None:
    labels = "labels: {cache: {levels: {static: fixed}}, new_tokens: {unit: tokens}}\nprimary:"
    text = spoilt(STUDY, "primary:", labels)
    text = spoilt(
        text,
        "design: {rounds: 2, exploratory: true}",
        "compare: {cache: [none, dynamic]}\n    claims: {}\n    design: {rounds: 2, exploratory: true}",
    )
    put(Path(), text)
    (smoke,) = load_study(FILE, "smoke")
    assert [arm.name for arm in smoke.arms] == ["cache=none", "cache=dynamic"]
