"""The digest of the code of a benchmark changes with the work that it does, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.gate.benchmark_code import code_digest

FILE = """\
import math

SIZE = 100

def helper(): return SIZE

def test_a(benchmark): benchmark(helper)

def test_b(benchmark): benchmark(math.sqrt, 2)

class TestGroup:
    size = 1
    def test_c(self, benchmark): benchmark(helper)
    def test_d(self, benchmark): benchmark(helper)
"""


def digest(folder: Path, text: str, name: str = "bench/test_x.py::test_a[one::two]") -> str:
    (folder / "bench").mkdir(exist_ok=True)
    (folder / "bench/test_x.py").write_text(text)
    return code_digest(folder, name)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import math\n", "import math  # a comment\n\n\n"),
        ("benchmark(math.sqrt, 2)", "benchmark(math.sqrt, 3)"),
        ("def test_b(benchmark): benchmark(math.sqrt, 2)\n", ""),
        ("    def test_d(self, benchmark): benchmark(helper)\n", "    def test_e(self, benchmark): pass\n"),
    ],
)
def test_other_tests_and_comments_do_not_count(tmp_path: Path, before: str, after: str) -> None:
    assert before in FILE
    assert digest(tmp_path, FILE) == digest(tmp_path, FILE.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SIZE = 100", "SIZE = 10"),
        ("return SIZE", "return 2 * SIZE"),
        ("def test_a(benchmark): benchmark(helper)", "def test_a(benchmark): benchmark(helper, 1)"),
        ("size = 1", "size = 2"),
    ],
)
def test_what_the_benchmark_may_use_counts(tmp_path: Path, before: str, after: str) -> None:
    assert before in FILE
    assert digest(tmp_path, FILE) != digest(tmp_path, FILE.replace(before, after, 1))


def test_a_method_of_a_class_is_known_by_its_name(tmp_path: Path) -> None:
    name = "bench/test_x.py::TestGroup::test_c"
    same = FILE.replace("test_d", "test_e")
    other = FILE.replace("def test_c(self, benchmark): benchmark(helper)", "def test_c(self): pass")
    assert digest(tmp_path, FILE, name) == digest(tmp_path, same, name) != digest(tmp_path, other, name)


@pytest.mark.parametrize("folder", [".", "bench"])
def test_every_conftest_above_counts(tmp_path: Path, folder: str) -> None:
    before = digest(tmp_path, FILE)
    (tmp_path / folder / "conftest.py").write_text("def test_of_a_fixture(): pass\n")
    assert digest(tmp_path, FILE) != before


def test_a_file_that_is_not_python_counts_as_it_is(tmp_path: Path) -> None:
    assert digest(tmp_path, "def (") != digest(tmp_path, "def ( ")
    assert digest(tmp_path, "\x00") != digest(tmp_path, "")
