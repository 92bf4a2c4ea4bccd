"""A real PgBouncer before the real server: one that shares connections is refused, another one is used."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from harness.errors import StoreError
from harness.store.store import open_store
from tests.support.postgres import PostgresServer
from tests.support.stored_run import create, finish, trial

PORT = 6432


@pytest.fixture
def pooler(running_postgres: PostgresServer) -> Iterator[Callable[..., None]]:
    """Starts a PgBouncer whose socket is in the folder of the server."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("PgBouncer is not installed")
    folder, processes = running_postgres.folder, list[subprocess.Popen[bytes]]()

    def start(mode: str, pool_size: int) -> None:
        settings = {
            "listen_port": PORT,
            "unix_socket_dir": folder,
            "auth_type": "trust",
            "auth_file": folder / "users.txt",
            "pool_mode": mode,
            "default_pool_size": pool_size,
            "logfile": folder / "pgbouncer.log",
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        (folder / "users.txt").write_text('"postgres" ""\n')
        databases = f"[databases]\n* = host={folder}\n"
        (folder / "pgbouncer.ini").write_text(databases + "\n".join(["[pgbouncer]", *lines]) + "\n")
        user = "postgres" if running_postgres.user else None
        processes.append(subprocess.Popen([program, "-q", folder / "pgbouncer.ini"], user=user))
        socket = folder / f".s.PGSQL.{PORT}"
        while not socket.exists():
            assert processes[-1].poll() is None
            time.sleep(0.01)

    yield start
    for process in processes:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("pool_size", [1, 5])
def test_a_pooler_that_shares_connections_is_refused(
    pooler: Callable[..., None], postgres_url: str, pool_size: int
) -> None:
    pooler("transaction", pool_size)
    with pytest.raises(StoreError) as caught:
        open_store(f"{postgres_url}&port={PORT}")
    message = str(caught.value)
    assert message.endswith(
        "a pooler (such as PgBouncer in transaction mode) gives every transaction another connection, "
        "so a run cannot be locked; connect to PostgreSQL itself, or use pool_mode=session"
    )
    assert caught.value.exit_code == 2


def test_a_pooler_that_keeps_connections_is_used(pooler: Callable[..., None], postgres_url: str) -> None:
    pooler("session", 5)
    with open_store(f"{postgres_url}&port={PORT}") as store:
        run = create(store, trials=[trial()])
        finish(store, run, trial())
    with open_store(postgres_url) as store:
        assert [row.state for row in store.trials(run)] == ["finished"]
