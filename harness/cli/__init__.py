"""The command line: parse, call, print. Every heavy import happens in the command that needs it."""

from __future__ import annotations

import contextlib
import sys

from harness.exit_codes import ExitCode

__all__ = ["main"]


def main() -> None:
    """The entry point of `harness`. Whatever goes wrong, even in an import, ends it with the exit code of a
    fault: Python's own code is 1, which is an answer of some commands.
    """
    try:
        from harness.cli.app import main as run_command

        run_command()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the last resort
        interrupted = isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt)
        what = "interrupted" if interrupted else " ".join(f"{type(error).__name__}: {error}".split())
        with contextlib.suppress(OSError, AttributeError):  # there may be no standard error
            sys.stderr.write(f"error: {what}; the command could not be started\n")
        sys.exit(ExitCode.SIGNALLED + 2 if interrupted else ExitCode.FAULT)
