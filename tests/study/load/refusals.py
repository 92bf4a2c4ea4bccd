"""Bad input is one line that says where, what and what to do: the tiny study with one line spoilt."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from harness.errors import StudyError
from harness.study.load import load_study
from tests.support.tiny_study import FILE, STUDY, put, spoilt

Spoilt = tuple[str, str, str, str]
"""What is wrong, the text that is replaced, what it is replaced with, and the message after the file's name.

The message is what a person reads; change it with care.
"""


def cases(spoilt: Iterable[Spoilt]) -> pytest.MarkDecorator:
    """Runs a test once for each of these, with the arguments `old`, `new` and `message`."""
    return pytest.mark.parametrize(
        ("old", "new", "message"), [pytest.param(*case, id=name) for name, *case in spoilt]
    )


def refusal(path: Path = FILE, scale: str = "cpu") -> str:
    """The one line that refuses the file."""
    with pytest.raises(StudyError) as caught:
        load_study(path, scale)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refusal_of_spoilt(old: str, new: str) -> str:
    """What the refusal of the tiny study says after the file's name, with `old` replaced by `new`."""
    put(Path(), spoilt(STUDY, old, new))
    line = refusal()
    assert line.startswith(f"{FILE}:")
    return line.removeprefix(f"{FILE}:")
