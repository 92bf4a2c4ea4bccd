"""A connection to PostgreSQL that breaks at the moment of a test's choice."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

SERVER_PORT, PORT = 5432, 5433
COMMIT, IDLE = b"COMMIT\0", b"Z\0\0\0\5I"


class Proxy:
    """Passes bytes between clients and the server whose socket is in `folder`.

    With `break_commit`, the connection of the next transaction that ends breaks: `before` the server hears of
    it, or `after` the server has recorded it and before anybody hears the answer. While `closed` is set,
    nobody is let in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._listener = folder, socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / f".s.PGSQL.{PORT}"))
        self._listener.listen()
        self._ends: list[socket.socket] = []
        self.break_commit: Literal["", "before", "after"] = ""
        self.closed = False
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """Break every connection and let nobody in."""
        self.closed = True
        while self._ends:
            _close(self._ends.pop())

    def stop(self) -> None:
        self.cut()
        _close(self._listener)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.closed:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._folder / f".s.PGSQL.{SERVER_PORT}"))
                self._ends += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(1 << 16)
                    if end is client and COMMIT in data and self.break_commit:
                        when, self.break_commit = self.break_commit, ""
                        if when == "after":
                            server.sendall(data)
                            while IDLE not in server.recv(1 << 16):
                                pass
                        data = b""
                    if not data:
                        raise ConnectionError
                    (server if end is client else client).sendall(data)
        _close(client)
        _close(server)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextlib.contextmanager
def proxy(folder: Path) -> Iterator[Proxy]:
    made = Proxy(folder)
    try:
        yield made
    finally:
        made.stop()
        (folder / f".s.PGSQL.{PORT}").unlink()
