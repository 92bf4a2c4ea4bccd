"""The connection of a driver to a Ray cluster. Whatever prevents it is one line for a person."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

from harness.errors import InputError

AUTO = "auto"
_CLIENT = "ray://"
_PATIENCE_S = 5.0
_SETTINGS = b"\x04"
_HTTP2_OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _SETTINGS + bytes(5)
_FRAME_HEADER = 9
"""The client opens HTTP/2 with a frame of settings (RFC 9113, 3.4), and the server answers with one."""

_FORM = "write HOST:PORT, ray://HOST:PORT, or auto"


def ray_library() -> Any:
    """The library Ray. Raises InputError if it is not installed."""
    try:
        import ray
    except ImportError:
        raise InputError(
            "the backend ray needs the library Ray, which is not installed",
            hint="pip install 'transformer-harness[ray]'",
        ) from None
    return ray


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected to the cluster at this address. A connection that this process has already is used and
    stays.

    Raises InputError if Ray is not installed or if no cluster answers. A user and a password in the address
    are not shown.
    """
    ray = ray_library()
    if ray.is_initialized():
        yield ray
        return
    with _nothing_printed(ray):
        _connect(ray, address)
        try:
            yield ray
        finally:
            ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    asked = os.environ.get("RAY_ADDRESS", AUTO) if address == AUTO else address
    shown = "auto"
    if asked != AUTO:
        host, port = _host_and_port(asked)
        shown = f"{host}:{port}"
        _check_that_ray_listens(host, port)
    try:
        # Ray lets workers import from the working directory first, which may have a folder `harness`
        with _signals_stay(), contextlib.chdir("/"), contextlib.redirect_stderr(io.StringIO()):
            ray.init(address=asked, log_to_driver=False, logging_level=logging.CRITICAL)
    except (OSError, ValueError, RuntimeError, ImportError, ray.exceptions.RayError) as error:
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines and asked == AUTO else type(error).__name__
        raise InputError(
            f"cannot connect to a Ray cluster at {shown}: {reason}",
            hint="`ray status` shows whether a cluster is running; its address belongs into the profile",
        ) from None


def _host_and_port(address: str) -> tuple[str, int]:
    """Of an address with or without `ray://` and a user."""
    host, _, port = address.removeprefix(_CLIENT).rpartition("@")[2].rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise InputError("the address of the Ray cluster is not valid", hint=_FORM)
    return host.strip("[]"), int(port)


def _check_that_ray_listens(host: str, port: int) -> None:
    """Raises InputError if nobody listens, or somebody who does not speak HTTP/2, as all servers of Ray do.
    Ray itself would try for minutes.
    """
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("0", ""):
                return
            connection.sendall(_HTTP2_OPENING)
            answer = connection.recv(_FRAME_HEADER, socket.MSG_WAITALL)
        reason = "" if answer[3:4] == _SETTINGS else "another program listens there"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise InputError(
            f"no Ray cluster answers at {host}:{port}: {reason}",
            hint="`ray start --head` starts one; the port is 6379 unless it was given",
        )


@contextlib.contextmanager
def _nothing_printed(ray: Any) -> Iterator[None]:
    """A thread of Ray prints what it learns about lost nodes, with their logs, on standard output, where the
    answers of commands go. No option of Ray turns this off.
    """
    worker = ray._private.worker
    before = worker.print_to_stdstream
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = before


@contextlib.contextmanager
def _signals_stay() -> Iterator[None]:
    """Ray replaces the handler of SIGTERM; afterwards, that of the driver is back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
