"""A suite of benchmarks in one version of a project, and the study that runs it in two versions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import InputError, InvalidError
from harness.gate import suite_plug_in
from harness.gate.benchmark_code import code_digest
from harness.gate.benchmarks import Benchmark, read_benchmarks
from harness.programs import control_loop
from harness.programs.source_tree import SourceTree
from harness.programs.variables import program_variables, python_path
from harness.programs.versions import Version
from harness.run.resources import worker_threads

FILE = "gate-benchmarks.json"
ARMS = ("baseline", "tree")
FACTOR = "version"
"""What the arms are values of: the store calls them `version=baseline` and `version=tree`."""
CONTROL = "control_loop_seconds"
NO_TESTS = 5
"""The exit code of pytest if it found no tests."""
SIDE, SIDES = "GATE_SIDE", ("0", "1")
"""A variable that says which version runs. Both have the same number of characters: the size of a program's
environment can change its speed (Mytkowicz et al. 2009, "Producing wrong data without doing anything
obviously wrong").
"""

REFERENCES = "harness_references"
REFERENCE_SECONDS = {"loop": "reference_loop_seconds", "memory": "reference_memory_seconds"}
"""The plug-in of pytest that times a loop beside every round, and where it notes the seconds."""

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
        return self._words()

    @property
    def timed_words(self) -> list[str]:
        """The same after the control loop, whose Python sees no file of a version, and with the reference
        loop beside every round.
        """
        control = [sys.executable, "-I", str(Path(control_loop.__file__)), *suite_plug_in.__path__, "--"]
        return [*control, *self._words("-p", REFERENCES)]

    def _words(self, *more: str) -> list[str]:
        always = ["-q", "-p", "no:cacheprovider", "--rootdir=.", "--benchmark-enable", "--benchmark-only"]
        options = [*always, *self.options, *more, f"--benchmark-json={FILE}"]
        return [self.python, "-m", "pytest", *options, *self.paths]


@dataclass(frozen=True, kw_only=True)
class ListedSuite:
    """The benchmarks that a version has. `code` has the digest of the code of each benchmark."""

    benchmarks: Mapping[str, Benchmark]
    code: Mapping[str, str]


def stored(one: Version, sources: Path) -> Version:
    """The version with its files as they are now, in a folder in which nobody edits them."""
    tree = SourceTree.read(one.folder, one.patterns)
    return replace(one, folder=tree.store(sources), built=True, content=tree.digest)


def list_suite(suite: Suite, one: Version) -> ListedSuite:
    """Run every benchmark once, as shortly as it can be, in a copy of a stored version. A version without the
    paths of the suite has no benchmarks.

    Raises InvalidError if the benchmarks fail, and InputError if pytest cannot run them.
    """
    if not any((one.folder / path.partition("::")[0]).exists() for path in suite.paths):
        return ListedSuite(benchmarks={}, code={})
    with tempfile.TemporaryDirectory(prefix="harness-gate-") as temporary:
        folder = Path(temporary) / "files"
        shutil.copytree(one.folder, folder, symlinks=True)
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
            _check_pytest(suite.python, variables)
            last = " / ".join(done.stdout.strip().splitlines()[-_SHOWN_LINES:])
            raise InvalidError(
                f"the benchmarks of {one.named} ended with exit code {done.returncode}: {last}"
            )
        file = folder / FILE
        listed = read_benchmarks(file) if file.exists() and file.stat().st_size else {}
        return ListedSuite(benchmarks=listed, code={name: code_digest(folder, name) for name in listed})


def _check_pytest(python: str, variables: Mapping[str, str]) -> None:
    command = [python, "-c", "import pytest, pytest_benchmark"]
    done = subprocess.run(command, env=variables, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise InputError(
            f"{python} has no pytest-benchmark",
            hint="install it there, or choose another Python with --python",
        )


def gate_study(
    name: str,
    suite: Suite,
    versions: tuple[Version, Version],
    benchmarks: Sequence[Benchmark],
    rounds: int | None,
    environments: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> dict[str, Any]:
    """The study that runs the suite in both versions, or without rounds a pilot that runs it once. The
    metrics are those of `metric_names`, and the times of the reference loop beside them. Each version gets
    the variables of its environment.
    """
    metrics: dict[str, Any] = {CONTROL: {"better": "lower", "paired_over": "rounds", "unit": "s"}}
    margins: dict[str, float] = {}
    for key, one in zip(metric_names(benchmarks), benchmarks, strict=True):
        output = {"kind": "pytest-benchmark", "file": FILE, "benchmark": one.name}
        metrics[key] = {"better": "lower", "paired_over": "rounds", "unit": "s", "output": output}
        for reference, seconds in REFERENCE_SECONDS.items():
            beside = {**output, "extra_info": seconds}
            metrics[reference_name(key, reference)] = {**metrics[key], "output": beside}
        if one.margin is not None:
            margins[key] = one.margin
    arms = [
        {
            label: {
                "folder": str(one.folder),
                "files": one.patterns,
                "environment": {SIDE: side, **{key: plain_word(text) for key, text in environment.items()}},
            }
        }
        for label, side, one, environment in zip(ARMS, SIDES, versions, environments, strict=True)
    ]
    command = [plain_word(word) for word in suite.timed_words]
    reasons = dict.fromkeys(margins, "stated by the benchmark")
    return {
        "study": name,
        "question": f"Are the benchmarks of {versions[1].named} slower than those of {versions[0].named}?",
        "task": "command",
        "base": {"command": command, **next(iter(arms[0].values()))},
        "metrics": metrics,
        "compare": {FACTOR: arms},
        "design": {"rounds": rounds} if rounds else {"exploratory": True},
        "primary": metric_names(benchmarks)[0],
        **({"margins": margins, "margin_reasons": reasons} if margins else {}),
    }


def metric_names(benchmarks: Sequence[Benchmark]) -> list[str]:
    """A name for each benchmark that a metric can have: `b001_test_step_small`."""
    return [
        f"b{number:03d}_{re.sub(r'[^a-z0-9]+', '_', one.name.rpartition('::')[2].lower())}"[:50].rstrip("_")
        for number, one in enumerate(benchmarks, start=1)
    ]


def reference_name(metric: str, reference: str) -> str:
    """The name of the metric with the times of a reference beside those of a benchmark."""
    return f"{metric}_{reference}"


def plain_word(word: str) -> str:
    """A word of a command line in which no brace stands for a setting."""
    return word.replace("{", "{{").replace("}", "}}")


def suite_python(named: str) -> str:
    """The absolute path of a Python: every version runs in a folder of its own. A link stays a link, because
    a virtual environment is found by it. Raises InputError if there is none.
    """
    program = shutil.which(named)
    if program is None:
        raise InputError(
            f"there is no program {named!r}", hint="--python needs a Python with pytest-benchmark"
        )
    return os.path.abspath(program)  # noqa: PTH100  a link keeps its name
