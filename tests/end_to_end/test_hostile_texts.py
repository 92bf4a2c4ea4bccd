"""A run of a study whose texts attack a terminal, through every command, on a real terminal and in a pipe."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator

import pytest

from harness.cli.claims import BEGIN, END
from harness.cli.console import CommandOutput
from harness.visible import visible
from tests.end_to_end.conftest import BaseRun
from tests.end_to_end.workplace import RUN, Workplace
from tests.support.commands import forked, forked_on_a_terminal
from tests.support.hostile_texts import HOSTILE_TEXTS

TEXTS = {name: text for name, text in HOSTILE_TEXTS.items() if name not in ("surrogate", "nul", "long word")}
"""What a study may contain."""

SOURCES = ("title of the terminal", "bidirectional", "markdown", "mathtext")

EVERY = "\n".join(HOSTILE_TEXTS.values())
LEVEL = "".join(TEXTS[name] for name in ("title of the terminal", "bidirectional", "markup of rich"))
OURS = (
    b"\x1b[1m",
    b"\x1b[0m",
    b"\x1b[31merror:",
    b"\x1b[?25l",
    b"\x1b[?25h",
    b"\r\x1b[1A\x1b[2K",
    b"\r\x1b[2K",
)
"""The only escape sequences of a command: the heads of tables, the word before an error, and a bar."""

AT_SCALE = ("tiny", "--scale", "smoke")
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": (*RUN, "-v"),
    "plan": ("plan", "tiny", "--scale", "least", "--rows"),
    "show": ("show", *AT_SCALE),
    "list": ("list",),
    "claims": ("claims",),
    "claims in a file": ("claims", "--into", "page.md"),
    "csv": ("export", *AT_SCALE),
    "markdown": ("export", *AT_SCALE, "--output", "table.md"),
    "declare": ("declare", *AT_SCALE),
}


@pytest.fixture(scope="module")
def hostile_run(base_run: BaseRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A finished run whose study, store and repository got hostile texts afterwards."""
    here = base_run.workplace.copied(tmp_path_factory.mktemp("hostile") / "place")
    every = " ".join(TEXTS.values())[:900]
    sources = iter(TEXTS[name] for name in SOURCES)
    text = here.study.read_text().replace("question: Does a", f"question: {quoted(every)} #")
    text = re.sub(r"source: [^,\n]*", lambda _: f"source: {quoted(next(sources))}", text)
    text = re.sub(r"says: [^,\n]*", f"says: {quoted(every)}".replace("\\", "\\\\"), text)
    least = text.index("  least:")
    levels = f"compare: {{cache: [none, dynamic, {{{quoted(LEVEL)}: {{cache: static}}}}]}}"
    here.study.write_text(text[:least] + text[least:].replace("compare: {cache: [none, dynamic]}", levels))
    (here.folder / "page.md").write_text(f"{BEGIN}\n{END}\n")
    git = ["git", "-c", f"user.name={EVERY[:50]}", "-c", "user.email=me@here"]
    for command in (
        ["init", "-q", "-b", "\u202egro.elpmaxe"],
        ["commit", "-q", "--allow-empty", "-m", "one"],
    ):
        subprocess.run([*git, *command], cwd=here.folder, check=True)
    database = sqlite3.connect(here.database)
    database.execute("UPDATE attempts SET error = ?, traceback = ?, nvml_reason = ?", (stored(),) * 3)
    database.execute("UPDATE sessions SET host = ?", (stored(),))
    database.execute("UPDATE checks SET detail = ?", (stored(),))
    for digest, resolved in database.execute("SELECT digest, resolved FROM studies").fetchall():
        study = json.loads(resolved)
        for claim, name in zip(study["claims"].values(), SOURCES, strict=True):
            claim |= {"source": TEXTS[name], "says": every}
        database.execute("UPDATE studies SET resolved = ? WHERE digest = ?", (json.dumps(study), digest))
    database.commit()
    database.close()
    with pytest.MonkeyPatch.context() as patches:
        patches.setenv("HARNESS_CACHE", str(here.cache))
        yield here


def quoted(text: str) -> str:
    """The text as YAML writes it in double quotes."""
    plain = (c if " " <= c <= "~" and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(plain)}"'


def stored() -> str:
    """All hostile texts as the store keeps them, and as an older version may have kept them."""
    return EVERY.encode("utf-8", "replace").decode().replace("\0", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_terminal_gets_no_character_that_acts(hostile_run: Workplace, name: str) -> None:
    done = forked_on_a_terminal(COMMANDS[name], folder=hostile_run.folder)
    out = done.out
    for sequence in OURS:
        out = out.replace(sequence, b"")
    text = out.replace(b"\n\r", b"\n").decode()
    assert done.code in (0, 5), text
    assert text == visible(text, keep="\n\t")
    assert "\\x1b" in text or name not in ("run", "plan", "list", "claims")


@pytest.mark.parametrize("name", ["plan", "show", "list", "claims", "csv"])
def test_a_pipe_gets_no_character_that_acts(hostile_run: Workplace, name: str) -> None:
    done = forked(COMMANDS[name], folder=hostile_run.folder)
    assert done.code in (0, 5)
    err = done.err.decode()
    assert err == visible(err, keep="\n\t")
    if name != "csv":
        assert done.out.decode() == visible(done.out.decode(), keep="\n\t")


def test_everything_about_one_trial(hostile_run: Workplace) -> None:
    trial = next(row.spec_id for row in hostile_run.trials() if row.purpose == "measure")
    done = forked_on_a_terminal(("show", trial), folder=hostile_run.folder)
    text = done.out.replace(OURS[0], b"").replace(OURS[1], b"").decode()
    assert text == visible(text, keep="\n\t")
    for line in ("\\x1b]0;pwned\\x07", "\\u202emoc.elpmaxe", "[bold red]red[/]", "pay\\u200bpal"):
        assert line in text
    answer = json.loads(forked(("show", trial, "--json"), folder=hostile_run.folder).out)
    assert answer["attempts"][0]["error"] == stored()


def test_json_is_exact_and_cannot_act_either(hostile_run: Workplace) -> None:
    done = forked_on_a_terminal(("list", "--json"), folder=hostile_run.folder)
    text = done.out.decode()
    assert text == visible(text, keep="\n")
    assert json.loads(text)[0]["question"] == " ".join(TEXTS.values())[:900]


def test_the_claims_in_a_document_hold_no_markup(hostile_run: Workplace) -> None:
    assert forked(COMMANDS["claims in a file"], folder=hostile_run.folder).code == 0
    again = forked(COMMANDS["claims in a file"], folder=hostile_run.folder)
    assert b"unchanged" in again.err
    page = (hostile_run.folder / "page.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| tiny |")]
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {10}
    assert page.count(END) == 1
    assert re.search(r"<(?!!-- (claims:|end of claims))", page) is None
    assert re.search(r"(?<!\\)\]\(", page) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "\x1b]0;pwned\x07"),
        ("run", "tiny", "--scale", "\u202eelacs"),
        ("run", "tiny", "--set", "x\x1b[2J=3"),
        ("run", "tiny", "--\x1b[2J"),
        ("\x1b[2J",),
        ("data", "fetch", "[link=https://example.com]\x9b2J"),
        ("verify", "\udcff\x1b[2J.html"),
        ("list", "--folder", "\udcff\x1b[2J"),
    ],
)
def test_errors_that_quote_arguments(hostile_run: Workplace, arguments: tuple[str, ...]) -> None:
    done = forked_on_a_terminal(arguments, folder=hostile_run.folder)
    text = done.out.replace(OURS[2], b"").replace(OURS[1], b"").decode()
    assert done.code == 2, text
    assert text == visible(text, keep="\n\t")
    assert "\\x1b" in text or "\\u202e" in text or "\\x9b" in text


def test_a_bar_shows_what_it_counts_as_it_is() -> None:
    def show_progress() -> None:
        with CommandOutput().progress() as progress:
            for text in HOSTILE_TEXTS.values():
                progress.begin(text, 2.0)
                progress.advance(1.0, text)

    out = forked_on_a_terminal(show_progress).out.decode()
    assert "[bold red]red[/]" in out
    assert "\\x1b[31mred\\x1b[2J" in out
    assert "\x1b[2J" not in out
    assert "\x1b]" not in out
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out)
    assert shown == visible(shown, keep="\r\n")
