"""The page for coding assistants: its commands exist, and its exit codes are those of the harness."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import version

import pytest
import typer
from typer.testing import CliRunner

from harness.cli.app import app
from harness.cli.judging import CODES
from harness.cli.skill import skill_text
from harness.exit_codes import MEANINGS, written

PAGE = skill_text()
COMMANDS = [
    line
    for block in re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
IN_SENTENCES = re.findall(r"`(harness [^`]+)`", PAGE)


def test_the_command_prints_the_page() -> None:
    done = CliRunner().invoke(app, ["skill"])
    assert (done.exit_code, done.stdout) == (0, PAGE)
    assert f"For transformer-harness {version('transformer-harness')}." in PAGE
    assert "@" not in PAGE


def test_it_begins_with_a_name_and_a_description() -> None:
    front = re.match(r"---\nname: (.+)\ndescription: (.+)\n---\n", PAGE)
    assert front is not None
    assert re.fullmatch(r"[a-z0-9-]{1,64}", front[1])
    assert 50 < len(front[2]) <= 1024
    assert ": " not in front[2]


@pytest.mark.parametrize("line", [*COMMANDS, *IN_SENTENCES])
def test_every_command_line_can_be_parsed(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "harness"
    group = typer.main.get_command(app)
    with group.make_context("harness", [], resilient_parsing=True) as context:
        name, command, rest = group.resolve_command(context, words)  # type: ignore[attr-defined]
        command.make_context(name, rest).close()


def test_every_exit_code_agrees() -> None:
    rows = re.findall(r"^\| (\d) \| ((?:`[a-z ]+`(?:, )?)+) \|", PAGE, re.MULTILINE)
    words = {word: int(code) for code, named in rows for word in re.findall("`(.+?)`", named)}
    assert words == {word: int(code) for word, code in CODES.items()}
    _, table = PAGE.split("All exit codes of the harness:")
    listed = re.findall(r"^\| (\d+(?: \+ n)?) \| (.+) \|$", table, re.MULTILINE)
    assert listed == [(written(code), meaning) for code, meaning in MEANINGS.items()]


def test_it_says_what_not_to_do() -> None:
    _, rules = PAGE.split("## What not to do")
    for words in ("ask until it passes", "change the margin", "drop seeds", "delete `results`"):
        assert words in rules
