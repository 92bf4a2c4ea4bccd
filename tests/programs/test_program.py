"""Programs in processes of their own: how they end, what they print and leave."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from harness.errors import InputError
from harness.programs.outputs import Printed
from harness.programs.program import LAST_LINES, Ended, ProgramError, find_program, run_program

SHELL = "/bin/sh"


def run(folder: Path, script: str, *words: str, variables: dict[str, str] | None = None) -> Ended:
    """A shell script."""
    command = [SHELL, "-c", script, *words]
    return run_program(command, folder=folder, variables=variables or {"PATH": os.environ["PATH"]})


def test_what_a_program_prints_is_kept_and_passed_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = run(tmp_path, "echo one; echo error >&2; printf 'two\\r\\nthree\\rfour'")
    assert ended.printed == Printed(lines=("one", "two", "three", "four"), folder=tmp_path)
    assert set(ended.last) == {"one", "error", "two", "three", "four"}
    assert ended.seconds > 0
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("one\ntwo\r\nthree\rfour", "error\n")


def test_no_shell_reads_the_words(tmp_path: Path) -> None:
    ended = run(tmp_path, 'printf "%s\n" "$0" "$@"', "a b", "$HOME", "`ls`", "*", "")
    assert ended.printed.lines == ("a b", "$HOME", "`ls`", "*", "")


def test_its_folder_variables_and_input(tmp_path: Path) -> None:
    ended = run(tmp_path, "pwd; echo $A; env | sort; cat; echo end", variables={"A": "1"})
    lines = [line for line in ended.printed.lines if not line.startswith(("PWD=", "_=", "SHLVL=", "OLDPWD="))]
    assert lines == [str(tmp_path), "1", "A=1", "end"]


def test_output_that_is_not_utf_8_and_lines_of_any_length(tmp_path: Path) -> None:
    (tmp_path / "long").write_text("x" * 3_000_000 + "\n")
    ended = run(tmp_path, "printf 'a\\377b\\n'; cat long; printf '\\303'; printf '\\251\\n'")
    assert [len(line) for line in ended.printed.lines] == [3, 3_000_000, 1]
    assert (ended.printed.lines[0], ended.printed.lines[2]) == ("a�b", "é")


def test_a_program_that_prints_nothing(tmp_path: Path) -> None:
    ended = run(tmp_path, ":")
    assert (ended.printed.lines, ended.last) == ((), ())
    assert run(tmp_path, "echo").printed.lines == ("",)


def test_an_exit_code_is_an_error_with_the_last_lines_of_both_outputs(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"^the program ended with exit code 3: no data\n") as raised:
        run(tmp_path, "seq 100; echo; echo no data >&2; exit 3")
    shown = "".join(traceback.format_exception(raised.value))
    assert "\n100\nno data\n" in shown
    assert f"\n{102 - LAST_LINES}\n" in shown
    assert f"\n{101 - LAST_LINES}\n" not in shown
    with pytest.raises(ProgramError, match=r"^the program ended with exit code 1\n") as raised:
        run(tmp_path, "exit 1")
    assert "The program printed nothing." in "".join(traceback.format_exception(raised.value))


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o755)
    with pytest.raises(ProgramError, match=r"^cannot start './text': Exec format error$"):
        run_program(["./text"], folder=tmp_path, variables={})


def test_a_program_is_a_file_of_the_source_or_on_the_path(tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho tool\n")
    for program in ("bin/tool", "./none"):
        with pytest.raises(InputError, match=f"{program} is not a program among the files of the study"):
            find_program(program, tmp_path)
    tool.chmod(0o755)
    assert find_program("bin/tool", tmp_path) == str(tool)
    assert find_program("tool", Path(), str(tool.parent)) == str(tool)
    assert find_program(sys.executable, tmp_path) == sys.executable
    with pytest.raises(InputError, match="there is no program 'tool'"):
        find_program("tool", tmp_path)
    ended = run_program(["tool"], folder=tmp_path, variables={"PATH": str(tool.parent)})
    assert ended.printed.lines == ("tool",)
    with pytest.raises(InputError, match="there is no program 'sh'"):  # not on the path of the program
        run_program(["sh"], folder=tmp_path, variables={})


@pytest.mark.parametrize("after", ["", "while :; do echo more; done"])
def test_a_process_that_it_leaves_does_not_keep_it(tmp_path: Path, after: str) -> None:
    """Such a process holds the outputs open, and may go on printing."""
    pids = tmp_path / "pid"
    began = time.monotonic()
    ended = run(tmp_path, f"({after or 'sleep 600'}) & echo $! > {pids}; echo mine")
    process = psutil.Process(int(pids.read_text()))
    assert process.is_running()
    for one in (*process.children(recursive=True), process):
        one.kill()
    assert ended.printed.lines.count("mine") == 1
    assert ended.seconds <= time.monotonic() - began


def test_a_program_that_closes_its_outputs_is_waited_for(tmp_path: Path) -> None:
    run(tmp_path, "exec >&- 2>&-; while [ ! -e go ]; do : > go; done; : > end")
    assert (tmp_path / "end").exists()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGTERM, 36])
def test_the_signal_that_ended_it_ends_this_process(tmp_path: Path, number: int) -> None:
    assert in_a_fork(lambda: run(tmp_path, f"ulimit -c 0; kill -{int(number)} $$")) == -number


def in_a_fork(action: Callable[[], object]) -> int:
    """The exit code of a fork of this process that does it."""
    pid = os.fork()
    if not pid:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            action()
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_an_output_that_cannot_be_passed_on_ends_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk."""

    def write(descriptor: int, piece: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.programs.program._write", write)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path, "echo one; exec sleep 600")
    assert not _sleeping(psutil.Process().children(recursive=True))


def _sleeping(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.name() == "sleep" and one.status() != psutil.STATUS_ZOMBIE]
