"""A canary in every place that may hold a secret, and a search for it in everything that a run leaves."""

from __future__ import annotations

import base64
import gzip
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.cli.claims import BEGIN, END
from harness.tasks.generate import Generate
from tests.end_to_end.in_process import InProcess
from tests.end_to_end.workplace import LEAST, Workplace
from tests.support.commands import Ended, forked

CANARY = "kanari3vogel"


@dataclass(frozen=True)
class Secretive:
    """A workplace whose every secret is the canary, and what its commands printed."""

    here: Workplace
    url: str
    printed: dict[tuple[str, ...], Ended]


@pytest.fixture
def secretive(
    workplace: Workplace, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Secretive:
    """After a run with a store on a server, in which one arm fails with an error that quotes a URL."""
    home = tmp_path / CANARY
    home.mkdir()
    url = postgres_url.replace("postgres@", f"postgres:{CANARY}@") + f"&sslpassword={CANARY}"
    variables = {
        "HOME": str(home),
        "HARNESS_CACHE": str(workplace.cache),
        "HARNESS_STORE": url,
        "LD_PRELOAD_TOKEN": CANARY,
        "TORCH_LOGS": f"https://me:{CANARY}@host/",
        **dict.fromkeys(("TORCH_TOKEN", "OMP_SECRET", "MKL_KEY", "AWS_SECRET_ACCESS_KEY"), CANARY),
    }
    for command in (
        ["init", "-q"],
        ["remote", "add", "origin", f"https://me:{CANARY}@host/it.git"],
        ["config", "user.name", CANARY],
        ["config", "user.email", f"{CANARY}@host"],
        ["commit", "-q", "--allow-empty", "-m", CANARY],
    ):
        subprocess.run(["git", *command], cwd=workplace.folder, check=True)
    (workplace.folder / "page.md").write_text(f"{BEGIN}\n{END}\n")
    generate = Generate.run

    def run(self: Generate, *arguments: Any) -> Any:
        if self.cache == "dynamic":
            raise RuntimeError(f"no answer from https://me:{CANARY}@host?token={CANARY} with --key {url}")
        return generate(self, *arguments)

    monkeypatch.setattr(Generate, "run", run)
    monkeypatch.setattr("harness.machine.matmul.ENOUGH_SECONDS", 0.0)
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", InProcess)
    at_scale = ("tiny", "--scale", "least", "-v")
    commands: tuple[tuple[str, ...], ...] = (
        (*LEAST, "-v", "--store", url),
        ("show", *at_scale, "--json"),
        ("export", *at_scale),
        ("claims", "--into", "page.md", "-v"),
        ("list", "-v"),
        ("verify", "reports/tiny.least.html", "-v"),
        ("list", "-v", "--store", url.replace("host=", "host=/nowhere")),
        ("list", "-v", "--store", url.replace("://", "//")),
        ("list", "-v", "--store", url.replace("://", ":/")),
        ("list", "-v", "--store", f"postgresql://me:{CANARY}"),
        ("list", url),
        ("list", f"--token={CANARY}"),
    )
    printed = {command: forked(command, folder=workplace.folder, variables=variables) for command in commands}
    return Secretive(here=workplace, url=url, printed=printed)


def test_a_canary_is_nowhere(secretive: Secretive) -> None:
    codes = [done.code for done in secretive.printed.values()]
    assert codes == [3, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2], secretive.printed
    for command, done in secretive.printed.items():
        assert CANARY.encode() not in done.out + done.err, command
    left = {str(path): path.read_bytes() for path in _files(secretive.here)}
    rows = list(_rows(secretive.url))
    assert len(left) > 5
    assert [name for name, content in left.items() if CANARY in _decoded(content)] == []
    assert [row for row in rows if CANARY in row] == []
    _check_that_it_would_have_been_noticed(secretive, "\n".join(rows))


def _check_that_it_would_have_been_noticed(secretive: Secretive, rows: str) -> None:
    """Each text that held the canary was printed or recorded, with a mask instead of it."""
    assert "no answer from https://***@host?token=***" in rows
    assert "Traceback" in rows
    assert '"--store","postgresql://postgres:***@/' in rows.replace('""', '"')
    assert '"TORCH_LOGS":"https://***@host/"' in rows.replace('""', '"')
    report = (secretive.here.folder / "reports" / "tiny.least.html").read_text()
    assert "no answer from https://***@host?token=***" in report
    assert "postgresql://postgres:***@/" in report
    refused = [done.err for done in secretive.printed.values() if done.code == 2]
    assert any(b"Traceback" in err and b"postgres:***@" in err for err in refused)


def _files(here: Workplace) -> Iterator[Path]:
    for folder in (here.folder, here.cache):
        yield from (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)


def _decoded(content: bytes) -> str:
    """The content with all that it holds in base64, which is how a report carries its samples."""
    parts = re.findall(rb"base64,([A-Za-z0-9+/=]+)", content)
    decoded = [base64.b64decode(part) for part in parts]
    plain = [gzip.decompress(one) if one.startswith(b"\x1f\x8b") else one for one in decoded]
    return b"\n".join([content, *plain]).decode("utf-8", "replace")


def _rows(url: str) -> Iterator[str]:
    """Every row of every table as text."""
    import psycopg

    with psycopg.connect(url) as connection:
        names = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert len(names) > 10
        for schema, name in names:
            query = f'SELECT row::text FROM "{schema}"."{name}" AS row'
            yield from (str(row[0]) for row in connection.execute(query.encode()).fetchall())
