"""The file of accepted revisions: one time for each benchmark, revision and machine, and nothing damaged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.gate.history import (
    HISTORY_FILE,
    AcceptedRevision,
    RecordedTime,
    benchmark_histories,
    read_history,
    record,
)
from tests.gate.histories import BENCHMARK, FIRST_DAY, accepted, accepted_times


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / HISTORY_FILE


def test_a_revision_has_the_time_that_was_recorded_first(file: Path) -> None:
    assert read_history(file) == []
    record(file, [accepted(0, 0.01), accepted(1, 0.02)])
    before = file.read_bytes()
    assert record(file, [accepted(0, 0.07)]) == [accepted(0, 0.01), accepted(1, 0.02)]
    assert file.read_bytes() == before


def test_the_same_revision_twice_in_one_call_is_recorded_once(file: Path) -> None:
    assert record(file, [accepted(0, 0.01), accepted(0, 0.02)]) == [accepted(0, 0.01)]


def test_a_gate_of_other_benchmarks_adds_only_these(file: Path) -> None:
    record(file, [accepted(0, 0.01)])
    both = accepted(0, 0.07)
    times = {**both.benchmarks, "b": RecordedTime(seconds=0.5, code="c")}
    lines = record(file, [both.model_copy(update={"benchmarks": times})])
    assert lines == [accepted(0, 0.01), accepted(0, 0.5, name="b")]
    assert read_history(file) == lines


def test_machines_and_changed_code_have_histories_of_their_own(file: Path) -> None:
    lines = record(file, [accepted(0, 1.0), accepted(0, 2.0, machine="m2"), accepted(1, 3.0, code="d")])
    assert [(one.machine, one.code, one.seconds) for one in benchmark_histories(lines)] == [
        ("m1", "c", (1.0,)),
        ("m1", "d", (3.0,)),
        ("m2", "c", (2.0,)),
    ]


def test_a_history_has_the_order_of_the_commits(file: Path) -> None:
    (history,) = benchmark_histories(record(file, [accepted(2, 2.0), accepted(0, 0.5), accepted(1, 1.0)]))
    assert history.benchmark == BENCHMARK
    assert history.seconds == (0.5, 1.0, 2.0)
    assert history.committed == tuple(FIRST_DAY + timedelta(days=day) for day in range(3))
    assert [int(one[:12], 16) for one in history.revisions] == [0, 1, 2]


GOOD = accepted(0).model_dump_json()


@pytest.mark.parametrize(
    "damaged",
    [
        GOOD[:30],
        "",
        "[]",
        "NaN",
        "\0",
        GOOD.replace("0.01", "NaN"),
        GOOD.replace("0.01", "0"),
        GOOD.replace("0.01", "-1"),
        GOOD.replace("0.01", '"1"'),
        GOOD.replace("0.01", "1e999"),
        GOOD.replace("Z", ""),
        GOOD.replace('{"revision"', '{"more":1,"revision"'),
    ],
)
def test_a_damaged_line_is_named_and_nothing_is_written(file: Path, damaged: str) -> None:
    file.write_text(f"{GOOD}\n{damaged}\n{GOOD}\n")
    before = file.read_bytes()
    for new in ([], [accepted(1)]):
        with pytest.raises(InputError, match="this line is no accepted revision") as refused:
            record(file, new)
        assert str(refused.value).startswith(f"{file}:2: ")
    assert file.read_bytes() == before


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="the history cannot be read"):
        read_history(file)


def test_gates_at_the_same_time_lose_nothing(file: Path) -> None:
    def one(number: int) -> list[AcceptedRevision]:
        return record(file, [accepted(number)])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one, range(12)))
    assert sorted(read_history(file), key=lambda line: line.committed) == accepted_times([0.01] * 12)


def test_without_a_folder_to_write_in_the_message_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write: No such file or directory"):
        record(tmp_path / "missing" / HISTORY_FILE, [accepted(0)])
