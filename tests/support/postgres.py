"""A PostgreSQL server, made once for all tests that need one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The folder of the socket of a running server that lets anybody in."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed")
    as_root = os.geteuid() == 0
    if as_root and not _user_exists("postgres"):
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    become = ["runuser", "-u", "postgres", "--"] if as_root else []
    # Not in pytest's own folder: user postgres may not enter it, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="store-pg-"))
    if as_root:
        shutil.chown(folder, "postgres")
    data = folder / "data"

    def call(program: str, *arguments: str) -> None:
        command = [*become, str(programs / program), "-D", str(data), *arguments]
        with (folder / "said").open("wb") as said:  # a pipe would stay open as long as the server
            subprocess.run(command, check=True, stdout=said, stderr=said, cwd="/")

    try:
        call("initdb", "-E", "UTF8", "--locale=C", "-A", "trust", "-U", "postgres", "-N")
        call(
            "pg_ctl",
            "start",
            "-w",
            "-l",
            str(folder / "log"),
            "-o",
            f"-k {folder} -c listen_addresses='' -c fsync=off",
        )
        try:
            yield str(folder)
        finally:
            call("pg_ctl", "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs() -> Path | None:
    beside_path = shutil.which("pg_ctl")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    candidates = [*installed, *([Path(beside_path).resolve().parent] if beside_path else [])]
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


def _user_exists(name: str) -> bool:
    return any(entry.pw_name == name for entry in pwd.getpwall())


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """A database of its own for each test."""
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(
        host=postgres_server, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"postgresql://postgres@/{name}?host={postgres_server}"
