"""What a person learns if there is no Ray cluster to run on."""

from __future__ import annotations

import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from harness.errors import InputError
from harness.run.backends.ray_connection import connected
from tests.end_to_end.workplace import Workplace

NO_RAY = "Ray is not installed: pip install 'transformer-harness[ray]'"


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_without_the_library_the_message_says_how_to_install_it(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = workplace.asked("run", "tiny", "--scale", "smoke", "--backend", "ray")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == (
        "error: the backend ray needs the library Ray, which is not installed; "
        "pip install 'transformer-harness[ray]'"
    )
    assert not (workplace.folder / "results").exists()


def test_an_address_at_which_nobody_answers_is_refused_before_anything_is_written(
    workplace: Workplace, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason=NO_RAY)
    port = free_port()
    profile = tmp_path / "site.toml"
    profile.write_text(f'backend = "ray"\n[ray]\naddress = "ray://me:sesame@127.0.0.1:{port}"\n')
    done = workplace.asked("run", "tiny", "--scale", "smoke", "--profile", str(profile))
    assert done.exit_code == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: no Ray cluster answers at 127.0.0.1:{port}: Connection refused; ")
    assert "sesame" not in done.stderr
    assert not (workplace.folder / "results").exists()


def test_another_program_at_the_address_is_refused_at_once() -> None:
    pytest.importorskip("ray", reason=NO_RAY)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        with (
            pytest.raises(InputError, match=f"no Ray cluster answers at {address}: another program listens"),
            connected(address),
        ):
            pass
        server.shutdown()


NOT_ADDRESSES = ["head", "head:port", "ray://head", ":6379", "head:0", "head:70000", "a/b:1"]


@pytest.mark.parametrize("address", NOT_ADDRESSES)
def test_what_is_not_an_address_is_refused(address: str) -> None:
    pytest.importorskip("ray", reason=NO_RAY)
    with (
        pytest.raises(InputError, match=r"is not valid; write HOST:PORT, ray://HOST:PORT, or auto"),
        connected(address),
    ):
        pass
