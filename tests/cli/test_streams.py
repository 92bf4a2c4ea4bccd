"""Commands on streams that few terminals have: another encoding, a full disk, nothing at all, no colours."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.streams import prepare_streams
from tests.end_to_end.workplace import COMMAND, Workplace
from tests.support.commands import forked, forked_on_a_terminal

COMMANDS = (
    ("list",),
    ("data", "list"),
    ("plan", "tiny", "--scale", "least"),
    ("plan", "tiny", "--scale", "least", "--rows"),
    ("plan", "tiny", "--scale", "least", "--json"),
    ("schema",),
    ("--help",),
    ("plan", "--help"),
)


@pytest.fixture(scope="module")
def here(new_workplace: Callable[[], Workplace]) -> Workplace:
    workplace = new_workplace()
    text = workplace.study.read_text().replace("question: ", "question: × – 日本 ", 1)
    workplace.study.write_text(text)
    return workplace


def variables(here: Workplace, **others: str) -> dict[str, str]:
    return {"HARNESS_CACHE": str(here.cache), **others}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_gives_the_usual_exit_code(
    here: Workplace, command: tuple[str, ...], encoding: str
) -> None:
    done = forked(command, folder=here.folder, variables=variables(here), encoding=encoding)
    assert (done.code, b"Traceback" in done.err) == (0, False), done.err
    assert done.out.decode(encoding)
    if command == ("list",):
        shown = {"ascii": "? ? ?? ", "latin-1": "× ? ?? ", "utf-8": "× – 日本 "}
        assert f"tiny\t{shown[encoding]}" in done.out.decode(encoding)


def test_json_is_exact_in_any_encoding(here: Workplace) -> None:
    texts = {
        encoding: json.loads(
            forked(
                ("list", "--json"), folder=here.folder, variables=variables(here), encoding=encoding
            ).out.decode(encoding)
        )
        for encoding in ("ascii", "latin-1", "utf-8")
    }
    assert texts["ascii"] == texts["latin-1"] == texts["utf-8"]
    assert texts["ascii"][0]["question"].startswith("× – 日本 ")


def test_a_locale_without_an_encoding_gives_replacement_characters(here: Workplace) -> None:
    settings = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    variables = {**here.environment(), **settings}
    done = subprocess.run([COMMAND, "list"], cwd=here.folder, env=variables, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"tiny\t? ? ?? " in done.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("out", "said"), [("-", b"standard output is closed"), ("/dev/full", b"No space left on device")]
)
def test_output_that_cannot_be_written_is_one_line_and_exit_74(
    here: Workplace, command: tuple[str, ...], out: str, said: bytes
) -> None:
    done = forked(command, folder=here.folder, variables=variables(here), out=out)
    lines = [line for line in done.err.splitlines() if line.startswith(b"error: ")]
    assert done.code == 74, done.err
    assert len(lines) == 1
    assert said in lines[0]
    assert b"Traceback" not in done.err


@pytest.mark.parametrize("err", ["-", "/dev/full"])
def test_notes_that_nobody_can_read_change_nothing(here: Workplace, err: str) -> None:
    command = ("plan", "tiny", "--scale", "least")
    usual = forked(command, folder=here.folder, variables=variables(here))
    assert usual.err
    done = forked(command, folder=here.folder, variables=variables(here), err=err)
    assert (done.code, done.out) == (0, usual.out)
    refused = forked(("plan", "none"), folder=here.folder, variables=variables(here), err=err)
    assert (refused.code, refused.out) == (2, b"")


def test_a_file_never_takes_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """Whatever a library writes to standard error would go into that file."""
    pid = os.fork()
    if not pid:
        for number in range(3):
            os.close(number)
        prepare_streams()
        os._exit(os.open(tmp_path, os.O_RDONLY))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) > 2


def test_colours_are_for_terminals_that_want_them(here: Workplace) -> None:
    for command, code in ((("plan", "none"), 2), (("list",), 0)):
        for settings, coloured in (
            ({}, True),
            ({"NO_COLOR": ""}, True),
            ({"NO_COLOR": "1"}, False),
            ({"TERM": "dumb"}, False),
        ):
            done = forked_on_a_terminal(command, folder=here.folder, variables=variables(here, **settings))
            assert done.code == code
            assert (b"\x1b[" in done.out) == coloured, (command, settings, done.out)
        piped = forked(command, folder=here.folder, variables=variables(here))
        assert b"\x1b" not in piped.out + piped.err


def test_a_terminal_without_escape_sequences_gets_lines_instead_of_a_bar(here: Workplace) -> None:
    command = ("data", "fetch", "python-docs")
    for settings, plain in (({"TERM": "dumb"}, True), ({}, False)):
        done = forked_on_a_terminal(command, folder=here.folder, variables=variables(here, **settings))
        assert done.code == 0
        assert (b"\x1b[" in done.out) != plain
