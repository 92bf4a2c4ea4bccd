"""A PostgreSQL server, made once for all tests that need one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class PostgresServer:
    """A server that lets anybody in at a socket in `folder`, and that tests may stop and start again."""

    folder: Path
    programs: Path
    user: Sequence[str]

    def call(self, program: str, *arguments: str) -> None:
        command = [*self.user, str(self.programs / program), "-D", str(self.folder / "data"), *arguments]
        with (self.folder / "said").open("wb") as said:  # a pipe would stay open as long as the server
            subprocess.run(command, check=True, stdout=said, stderr=said, cwd="/")

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        self.call("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """With the mode `immediate`, the server stops as in a crash."""
        self.call("pg_ctl", "stop", "-w", "-m", mode)


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[PostgresServer]:
    """The server of all tests."""
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
    server = PostgresServer(folder, programs, become)
    try:
        server.call("initdb", "-E", "UTF8", "--locale=C", "-A", "trust", "-U", "postgres", "-N")
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(running_postgres: PostgresServer) -> str:
    """The folder of the socket of a running server that lets anybody in."""
    return str(running_postgres.folder)


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
