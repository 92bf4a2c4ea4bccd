"""A suite of benchmarks in one version of a project, and the study that runs it in two versions."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.gate.benchmarks import Benchmark, read_benchmarks
from harness.programs import control_loop
from harness.programs.source_tree import ALL_FILES, SourceTree
from harness.programs.variables import program_variables, python_path
from harness.programs.versions import Version
from harness.run.resources import worker_threads

FILE = "gate-benchmarks.json"
ARMS = ("baseline", "tree")
CONTROL = "control_loop_seconds"
NO_TESTS = 5
"""The exit code of pytest if it found no tests."""

_QUICK = ("--benchmark-min-rounds=1", "--benchmark-max-time=0.001", "--benchmark-warmup=off")
_SHOWN_LINES = 3


@dataclass(frozen=True, kw_only=True)
class Suite:
    """How the benchmarks are run: the Python with pytest-benchmark, their paths in the project, and options
    of pytest.
    """

    paths: tuple[str, ...]
    python: str = sys.executable
    options: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The command of pytest."""
        always = ["-q", "-p", "no:cacheprovider", "--benchmark-enable", "--benchmark-only"]
        return [self.python, "-m", "pytest", *always, *self.options, f"--benchmark-json={FILE}", *self.paths]

    @property
    def timed_words(self) -> list[str]:
        """The same after the control loop, which no version contains."""
        return [sys.executable, "-P", str(Path(control_loop.__file__)), "--", *self.words]


@dataclass(frozen=True, kw_only=True)
class ListedSuite:
    """The benchmarks that a version has. `files` has the digest of the file of each benchmark."""

    benchmarks: Mapping[str, Benchmark]
    files: Mapping[str, str]


def list_suite(suite: Suite, one: Version, results: Path) -> ListedSuite:
    """Run every benchmark once, as shortly as it can be, in a copy of the version.

    Raises InputError if the suite cannot be run.
    """
    tree = version_tree(one)
    with tempfile.TemporaryDirectory(prefix="harness-gate-") as temporary:
        folder = Path(temporary) / "files"
        shutil.copytree(tree.store(results), folder, symlinks=True)
        threads = worker_threads("measure")
        variables = program_variables(
            given={}, inherited=(), seed=0, threads=threads, temporary=Path(temporary)
        )
        variables["PYTHONPATH"] = python_path(folder, variables.get("PYTHONPATH"))
        done = subprocess.run(
            [*suite.words, *_QUICK],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode not in (0, NO_TESTS):
            last = " / ".join(done.stdout.strip().splitlines()[-_SHOWN_LINES:])
            raise InputError(f"the benchmarks of {one.named} ended with exit code {done.returncode}: {last}")
        file = folder / FILE
        listed = read_benchmarks(file) if file.exists() and file.stat().st_size else {}
        return ListedSuite(benchmarks=listed, files={name: _file_digest(folder, name) for name in listed})


def gate_study(
    name: str,
    suite: Suite,
    versions: tuple[Version, Version],
    benchmarks: Sequence[Benchmark],
    rounds: int | None,
    environments: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> dict[str, Any]:
    """The study that runs the suite in both versions, or without rounds a pilot that runs it once. The
    metrics are those of `metric_names`. Each version gets the variables of its environment.
    """
    metrics: dict[str, Any] = {CONTROL: {"better": "lower", "paired_over": "rounds", "unit": "s"}}
    margins: dict[str, float] = {}
    for key, one in zip(metric_names(benchmarks), benchmarks, strict=True):
        output = {"kind": "pytest-benchmark", "file": FILE, "benchmark": one.name}
        metrics[key] = {"better": "lower", "paired_over": "rounds", "unit": "s", "output": output}
        if one.margin is not None:
            margins[key] = one.margin
    arms = [
        {
            label: {
                "folder": str(one.folder),
                "files": _patterns(one),
                "environment": {"HARNESS_VERSION": label, **environment},
            }
        }
        for label, one, environment in zip(ARMS, versions, environments, strict=True)
    ]
    command = suite.timed_words
    reasons = dict.fromkeys(margins, "stated by the benchmark")
    return {
        "study": name,
        "question": f"Are the benchmarks of {versions[1].named} slower than those of {versions[0].named}?",
        "task": "command",
        "base": {"command": command, **next(iter(arms[0].values()))},
        "metrics": metrics,
        "compare": {"version": arms},
        "design": {"rounds": rounds} if rounds else {"exploratory": True},
        "primary": metric_names(benchmarks)[0],
        **({"margins": margins, "margin_reasons": reasons} if margins else {}),
    }


def metric_names(benchmarks: Sequence[Benchmark]) -> list[str]:
    """A name for each benchmark that a metric can have: `b001_test_step_small`."""
    return [
        f"b{number:03d}_{re.sub(r'[^a-z0-9]+', '_', one.name.rpartition('::')[2].lower())}"[:60].rstrip("_")
        for number, one in enumerate(benchmarks, start=1)
    ]


def version_tree(one: Version) -> SourceTree:
    """The files of a version."""
    return SourceTree.read(one.folder, _patterns(one))


def _patterns(one: Version) -> list[str]:
    return [ALL_FILES] if one.built else []


def _file_digest(folder: Path, name: str) -> str:
    """Of the file of a benchmark and of the files `conftest.py` above it: what decides which work it does."""
    file = folder / name.partition("::")[0]
    made = hashlib.sha256()
    above = [parent / "conftest.py" for parent in file.parents if parent.is_relative_to(folder)]
    for path in (file, *above):
        if path.is_file():
            made.update(path.read_bytes())
    return made.hexdigest()[:16]
