"""The exit codes of every command."""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType


class ExitCode(IntEnum):
    """How a command ended. A signal with the number n ends it with `SIGNALLED` + n."""

    FINISHED = 0
    NO = 1
    BAD_INPUT = 2
    FAILED_TRIALS = 3
    UNDECIDED = 4
    INVALID = 5
    STORE_LOST = 6
    FAULT = 70
    OUTPUT_LOST = 74
    SIGNALLED = 128


MEANINGS = MappingProxyType(
    {
        ExitCode.FINISHED: "finished",
        ExitCode.NO: "the answer is no (judge: B is not better, gate: a benchmark regressed)",
        ExitCode.BAD_INPUT: "bad input, nothing was written",
        ExitCode.FAILED_TRIALS: "some trials failed",
        ExitCode.UNDECIDED: "nothing is decided (undecided, or the code or a file changed during the run)",
        ExitCode.INVALID: "something is invalid",
        ExitCode.STORE_LOST: "the store was lost",
        ExitCode.FAULT: "a fault of the harness or of the machine",
        ExitCode.OUTPUT_LOST: "the output cannot be written",
        ExitCode.SIGNALLED: "signal n ended the command (130: Ctrl-C)",
    }
)


def written(code: ExitCode) -> str:
    """The code as a person reads it."""
    return f"{code:d} + n" if code is ExitCode.SIGNALLED else f"{code:d}"


def exit_codes_text() -> str:
    """All codes with their meanings, in one sentence."""
    return f"Exit codes: {'; '.join(f'{written(code)} {meaning}' for code, meaning in MEANINGS.items())}."
