"""The exception tree: one line for people, the exit code of a command, suggestions."""

from __future__ import annotations

import pytest

from harness.errors import (
    CorpusError,
    HarnessError,
    InputError,
    InvalidError,
    Location,
    OutputError,
    StoreError,
    StudyError,
    TrialError,
    did_you_mean,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (HarnessError, 70),
        (InputError, 2),
        (StudyError, 2),
        (CorpusError, 2),
        (StoreError, 2),
        (TrialError, 3),
        (InvalidError, 5),
        (OutputError, 74),
    ],
)
def test_exit_codes(kind: type[HarnessError], code: int) -> None:
    assert kind("x").exit_code == code


def test_what_a_person_did_wrong_can_be_caught_as_one() -> None:
    assert all(issubclass(kind, InputError) for kind in (StudyError, CorpusError, StoreError))
    assert not issubclass(TrialError, InputError)


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (Location("a.yaml"), "a.yaml"),
        (Location("a.yaml", 3), "a.yaml:3"),
        (Location("a.yaml", 3, 7), "a.yaml:3:7"),
    ],
)
def test_a_location_is_what_editors_jump_to(location: Location, text: str) -> None:
    assert str(location) == text


def test_an_error_is_one_line() -> None:
    assert str(HarnessError("broken")) == "broken"
    assert str(HarnessError("broken", hint="mend it")) == "broken; mend it"
    assert (
        str(StudyError("unknown key", at=Location("a.yaml", 3, 7), hint="look"))
        == "a.yaml:3:7: unknown key; look"
    )


def test_an_error_is_one_short_line_without_secrets_whatever_it_quotes() -> None:
    long, url = "x" * 100_000, "postgresql://me:CANARY@host"
    line = str(StudyError(f"{long}\n{url}", at=Location(f"--set {long}={url}"), hint=f"\x1b[31m{long} {url}"))
    assert len(line) < 1000
    assert line.isprintable()
    assert line.count("xx") > 3
    assert "CANARY" not in line


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("statik", ["none", "static", "dynamic"], "did you mean 'static'?"),
        ("rising", ["increasing", "decreasing"], "did you mean 'increasing' or 'decreasing'?"),
        ("zzz", ["b", "a", "a"], "known: a, b"),
        ("zzz", [], None),
        ("zzz", [f"name-{n}" for n in range(21)], None),
    ],
)
def test_suggestions(word: str, known: list[str], hint: str | None) -> None:
    assert did_you_mean(word, known) == hint
