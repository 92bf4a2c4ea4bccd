"""The tests of a module are found by its name: `tests/` mirrors `harness/` and `models/`."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
OTHER_FOLDERS = {
    "benchmarks": "measures ratios of times; `make benchmark` repeats these measurements",
    "cuda": "repeats tests of several modules on a GPU",
    "end_to_end": "runs whole studies, or commands that a user types",
    "extending": "performs the additions of docs/extending.md on a copy of the code",
    "models/references": "compares whole models with other implementations",
    "structure": "reads the repository itself: names, imports, documents, studies",
    "traps": "repeats known mistakes of other people's studies",
}


def is_found_by_name(test: PurePosixPath, code: AbstractSet[PurePosixPath]) -> bool:
    """Whether somebody who looks for the tests of a module looks at this one.

    `test` is a path below tests/ and `code` holds the files below harness/, where models/ is a folder.
    """
    folder, name = test.parent, test.stem.removeprefix("test_")
    if any(folder.is_relative_to(other) for other in OTHER_FOLDERS):
        return True
    if folder / f"{name}.py" in code:
        return True
    if folder.name and folder.with_suffix(".py") in code:
        return True
    packages = [package for package in (folder / name, folder) if package.name == name]
    return any(package / "__init__.py" in code for package in packages)


FILES = ("metrics.py", "run/__init__.py", "run/driver.py", "models/__init__.py", "models/config/model.py")
CODE = frozenset(PurePosixPath(file) for file in FILES)


@pytest.mark.parametrize(
    "test",
    [
        "test_metrics.py",
        "run/test_driver.py",
        "run/driver/test_interruptions.py",
        "run/test_run.py",
        "test_run.py",
        "models/test_models.py",
        "models/config/test_model.py",
        "models/references/test_gpt2_parity.py",
        "end_to_end/test_tuned_study.py",
    ],
)
def test_a_file_that_bears_a_name_of_the_code_belongs_there(test: str) -> None:
    assert is_found_by_name(PurePosixPath(test), CODE)


@pytest.mark.parametrize(
    "test",
    [
        "test_driver.py",
        "test_oddities.py",
        "run/test_metrics.py",
        "run/test_interruptions.py",
        "run/worker/test_driver.py",
        "config/test_model.py",
        "models/config/test_attention.py",
        "models/config/test_config.py",
        "end_to_end_too/test_tuned_study.py",
    ],
)
def test_a_stray_file_is_noticed(test: str) -> None:
    assert not is_found_by_name(PurePosixPath(test), CODE)


def test_every_test_is_found_by_the_name_of_what_it_tests() -> None:
    code = paths(ROOT / "harness") | {"models" / path for path in paths(ROOT / "models")}
    tests = {path for path in paths(ROOT / "tests") if path.name.startswith("test_")}
    assert len(tests) > 100
    assert sorted(str(test) for test in tests if not is_found_by_name(test, code)) == []


def paths(folder: Path) -> set[PurePosixPath]:
    return {PurePosixPath(file.relative_to(folder).as_posix()) for file in folder.rglob("*.py")}


@pytest.mark.parametrize("folder", OTHER_FOLDERS)
def test_every_other_folder_still_holds_tests(folder: str) -> None:
    assert list((ROOT / "tests" / folder).glob("test_*.py"))
