"""Settings in the words of a command line."""

from __future__ import annotations

import pytest

from harness.programs.command_line import filled, is_name, lone_brace, settings_in

SETTINGS = {"lr": 1e-05, "steps": 100, "fast": True, "name": "a b", "none": None}


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("--lr={lr}", "--lr=1e-05"),
        ("{steps}{steps}", "100100"),
        ("{fast} {none}", "true null"),
        ("{name}", "a b"),
        ("{{lr}}", "{lr}"),
        ("{{{lr}}}", "{1e-05}"),
        ('{{"a": {{"b": {steps}}}}}', '{"a": {"b": 100}}'),
        ("$HOME; `x` %s", "$HOME; `x` %s"),
        ("", ""),
    ],
)
def test_a_word_is_filled_as_yaml_writes_values(word: str, text: str) -> None:
    assert filled(word, SETTINGS) == text
    assert lone_brace(word) is None


def test_a_value_with_braces_is_not_filled_again() -> None:
    assert filled("{name}", {"name": "{lr}", "lr": 1}) == "{lr}"


def test_an_unknown_setting() -> None:
    with pytest.raises(KeyError):
        filled("{unknown}", SETTINGS)


def test_the_settings_that_words_mention() -> None:
    assert settings_in(["{a}-{b_2}", "{{c}}", "d", "{a}"]) == {"a", "b_2"}


@pytest.mark.parametrize(
    ("word", "rest"),
    [
        ("{", "{"),
        ("x}", "}"),
        ("--a {lr", "{lr"),
        ("{ lr }", "{ lr }"),
        ("{a-b}", "{a-b}"),
        ("{}", "{}"),
        ('{"a": {lr}}', '{"a": {lr}}'),
    ],
)
def test_a_brace_that_stands_alone(word: str, rest: str) -> None:
    assert lone_brace(word) == rest


def test_names_that_can_stand_in_braces() -> None:
    assert [name for name in ("lr", "_x", "a1", "warm-up", "1a", "a.b", "", "é") if is_name(name)] == [
        "lr",
        "_x",
        "a1",
    ]
