"""Signals that end a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future

import pytest

from harness.run.stopping import SIGNALS, Interrupted, interruptible, result, wait


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_interrupts_and_later_ones_only_hurry(number: signal.Signals) -> None:
    before = [signal.getsignal(one) for one in SIGNALS]

    def interrupted_again_and_again() -> None:
        with interruptible():
            try:
                signal.raise_signal(number)
            finally:
                assert not wait(Future(), 0.1, hurry=True)  # nothing hurries yet, so this waits
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(number)
                assert not wait(Future(), 1e9, hurry=True)

    with pytest.raises(Interrupted) as caught:
        interrupted_again_and_again()
    assert caught.value.number is number
    assert isinstance(caught.value, KeyboardInterrupt)
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_another_block_begins_anew() -> None:
    for _ in range(2):
        with pytest.raises(Interrupted), interruptible():
            signal.raise_signal(signal.SIGTERM)


def test_in_another_thread_nothing_changes() -> None:
    """Python delivers signals to the main thread only."""
    seen = []

    def look() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_what_a_process_was_started_to_ignore_stays_ignored() -> None:
    """As `nohup` does it."""
    code = (
        "import signal\n"
        "from harness.run.stopping import interruptible\n"
        "with interruptible():\n"
        "    signal.raise_signal(signal.SIGHUP)\n"
        "print('still here')\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        env=dict(os.environ),
    )
    assert (done.returncode, done.stdout) == (0, "still here\n"), done.stderr


def test_the_main_thread_wakes_up_by_itself_while_it_waits_and_looks_at_what_it_waits_for() -> None:
    """Of two signals at once, the kernel gives one or both to another thread, which does not wake it."""
    waited: list[float | None] = []

    class Slow(Future[int]):
        def result(self, timeout: float | None = None) -> int:
            waited.append(timeout)
            if len(waited) == 3:
                self.set_result(7)
            return super().result(timeout=0)

    looks: list[int] = []
    assert result(Slow(), lambda: looks.append(len(waited))) == 7
    assert looks == [1, 2]
    assert all(timeout is not None and timeout <= 1 for timeout in waited[:3])


def test_the_result_of_a_future_may_be_that_something_took_too_long() -> None:
    late: Future[int] = Future()
    late.set_exception(TimeoutError("too late"))
    with pytest.raises(TimeoutError, match="too late"):
        result(late)


def test_a_future_that_is_done_is_not_waited_for() -> None:
    done: Future[int] = Future()
    done.set_result(1)
    assert wait(done, 1e9, hurry=False)
