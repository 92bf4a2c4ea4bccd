"""A real PgBouncer before the real server, also one that gives every transaction another connection."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from harness.store.failures import TrialTakenError
from harness.store.store import open_store
from harness.trial.outcome import Outcome
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


@pytest.mark.parametrize(("mode", "pool_size"), [("transaction", 1), ("transaction", 5), ("session", 5)])
def test_a_run_is_recorded_through_a_pooler(
    pooler: Callable[..., None], postgres_url: str, mode: str, pool_size: int
) -> None:
    pooler(mode, pool_size)
    url = f"{postgres_url}&port={PORT}"
    specs = [trial(seed) for seed in range(8)]  # more than the driver of PostgreSQL runs without preparing
    with open_store(url) as store:
        run = create(store, trials=specs)
        finish(store, run, *specs[:4])
        with open_store(url) as other:
            session = other.open_session(run, {}, shared=True)
            mine = store.open_session(run, {}, shared=True)
            attempt = other.begin_trial(run, session, specs[4], position=4)
            with pytest.raises(TrialTakenError):
                store.begin_trial(run, mine, specs[4], position=4)
            other.finish_trial(attempt, Outcome(status="finished"), seconds=1.0)
    with open_store(postgres_url) as store:
        assert [row.state for row in store.trials(run)] == ["finished"] * 5
        assert store.chain(run).problems == ()
