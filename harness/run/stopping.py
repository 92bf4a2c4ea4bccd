"""Signals that end a run: Ctrl-C, TERM, HUP and QUIT all end it in the same way, and nothing stays behind.

The first one interrupts the run: its trial is asked to end and has a few seconds for it, the attempt is
recorded as interrupted, and a message says how to go on. A second one leaves the trial no time.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

_T = TypeVar("_T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

_hurried = threading.Event()
_LOOK_S = 0.05
SIGNALS_S = 1.0


class Interrupted(KeyboardInterrupt):
    """A signal asks this process to end. `number` is the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = signal.Signals(number)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within this block, each of the signals raises Interrupted in the main thread, once. Further ones only
    make the waiting of `wait` short.

    A signal that this process was started to ignore, as `nohup` does, stays ignored. Does nothing outside of
    the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def receive(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            raise Interrupted(number)
        _hurried.set()

    before: dict[signal.Signals, Any] = {}
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, receive)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _hurried.clear()


def result(future: Future[_T], meanwhile: Callable[[], None] = lambda: None) -> _T:
    """The result of the future, as soon as there is one. A signal ends the waiting. Once per second,
    `meanwhile` is called.

    If two signals come at once, the kernel may give both to another thread. Nothing wakes the main thread
    then, so it wakes up by itself.
    """
    while not future.done():
        try:
            future.result(timeout=SIGNALS_S)
        except TimeoutError:
            meanwhile()
    return future.result()


def wait(future: Future[Any], patience_s: float, *, hurry: bool) -> bool:
    """Wait until the future is done; whether it is. With `hurry`, a second signal ends the waiting."""
    from concurrent.futures import wait as wait_for  # most commands wait for nothing

    left = patience_s
    while left > 0 and not (hurry and _hurried.is_set()):
        wait_for([future], timeout=min(_LOOK_S, left))
        if future.done():
            return True
        left -= _LOOK_S
    return future.done()
