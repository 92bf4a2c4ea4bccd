import fcntl
import os
import signal
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.report.build import render, write_report
from tests.report.synthetic import study, synthetic_report
from tests.support.real_disk import mounted

SMALL = study(design={"rounds": 2}, across={}, claims={})


def test_the_file_holds_the_page_and_nothing_else_is_left(tmp_path: Path) -> None:
    report = synthetic_report(SMALL, steps=1)
    target = tmp_path / "kv_cache.html"
    target.write_text("an older report")
    write_report([report], target)
    assert target.read_text(encoding="utf-8") == render(report)
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_directory_is_the_callers_mistake(tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "kv_cache.html"
    with pytest.raises(InputError) as caught:
        write_report([synthetic_report(SMALL, steps=1)], target)
    assert caught.value.exit_code == 2
    assert str(target) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_target_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "kv_cache.html"
    target.mkdir()
    with pytest.raises(InputError, match=r"cannot write the report .*kv_cache\.html"):
        write_report([synthetic_report(SMALL, steps=1)], target)
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_keeps_the_old_report(tmp_path: Path) -> None:
    report = synthetic_report(SMALL, steps=1)
    size = len(render(report).encode())
    with mounted(tmp_path / "disk", f"size={size // 2}") as disk:
        target = disk / "kv_cache.html"
        target.write_text("an older report")
        with pytest.raises(InputError) as caught:
            write_report([report], target)
        assert str(caught.value).startswith(f"cannot write the report {target}: No space left on device; ")
        assert target.read_text() == "an older report"
        assert list(disk.iterdir()) == [target]


def test_what_a_killed_process_has_left_is_removed_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    report, target = synthetic_report(SMALL, steps=1), tmp_path / "kv[1].html"
    pid = os.fork()
    if not pid:
        os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        write_report([report], target)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    [partial] = tmp_path.iterdir()
    assert partial.name == f".{target.name}.{pid}"

    # in a container, the next process often has the same id
    partial.rename(tmp_path / f".{target.name}.{os.getpid()}")
    others = [tmp_path / f".{target.name}.{name}" for name in (os.getppid(), 2**22 + 1, "7.html", "old")]
    others.append(tmp_path / f".kv1.html.{2**22 + 2}")
    for other in others:
        other.touch()
    with others[1].open() as elsewhere:  # a process that is not seen here
        fcntl.flock(elsewhere, fcntl.LOCK_EX)
        write_report([report], target)
    assert target.read_text(encoding="utf-8") == render(report)
    assert set(tmp_path.iterdir()) == {target, *others}
    write_report([report], target)
    assert others[1] not in tmp_path.iterdir()
