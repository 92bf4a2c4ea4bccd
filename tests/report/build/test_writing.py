import os
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.report.build import render, write_report
from tests.report.synthetic import study, synthetic_report

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


def test_an_interrupted_write_keeps_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "kv_cache.html"
    target.write_text("an older report")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_report([synthetic_report(SMALL, steps=1)], target)
    assert target.read_text() == "an older report"
    assert list(tmp_path.iterdir()) == [target]
