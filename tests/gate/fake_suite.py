"""A project whose benchmarks are figures in a file, and a Python that reads them: the noise of the machine
decides nothing. Its studies are run with real processes, or they are scripted.
"""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.experiment.workspace import Workspace
from harness.gate.benchmarks import Benchmark
from harness.gate.decide import MARGIN, Measured
from harness.gate.gate import GateQuestion, gate
from harness.gate.measured_suite import MeasuredSuite
from harness.gate.result import GateResult
from harness.gate.suite import Suite
from harness.programs.versions import Version
from tests.end_to_end.in_process import InProcess

A, B = "bench/test_a.py::test_a", "bench/test_a.py::test_b"
ROUNDS = 8

_PYTHON = '''#!{python} -IS
"""In place of Python with pytest: "speeds.json" has the seconds of each benchmark, or what else to do."""
import json, math, pathlib, sys
words, log = sys.argv[1:], pathlib.Path({log!r})
if words[0] == "-c":
    sys.exit({lacks})
speeds = json.loads(pathlib.Path("speeds.json").read_text())
reference = speeds.get("reference", 0.001)
measures = "--benchmark-max-time=0.001" not in words
number = len(log.read_text().splitlines())
if measures:
    with log.open("a") as lines:
        lines.write("one\\n")
if speeds.get("exit", 0) and (measures or not speeds.get("measured_only")):
    print("1 failed")
    sys.exit(speeds["exit"])
rows = []
for name, seconds in speeds["seconds"].items():
    swing = 1 + 0.3 * math.sin(7 * number * number)
    if isinstance(seconds, float):
        seconds *= 1 + 0.002 * math.sin(number) if speeds.get("scatter", True) else 1
        seconds *= swing if name in speeds.get("swings", ()) else 1
    loop = reference * (swing if speeds.get("swings") else 1)
    rows.append({{"fullname": name, "name": name.rpartition("::")[2], "stats": {{"median": seconds}},
                 "extra_info": {{"reference_loop_seconds": [loop], "reference_memory_seconds": [0.001],
                                **speeds.get("extra_info", {{}}).get(name, {{}})}}}})
file = next(word for word in words if word.startswith("--benchmark-json=")).partition("=")[2]
pathlib.Path(file).write_text(json.dumps({{"benchmarks": rows}}) if rows else "")
'''

_CONTROL = """
import json, os, sys
factor = {factor} if os.environ["GATE_SIDE"] == "1" else 1
print(json.dumps({{"metric": "control_loop_seconds", "value": 0.01 * factor}}), flush=True)
words = sys.argv[sys.argv.index("--") + 1 :]
os.execvp(words[0], words)
"""


@dataclass
class Script:
    """What the runs of a study say, in order: the ratio of each benchmark in each of them, and what is wrong
    with it. The last one repeats. A benchmark that is not named has the ratio 1.
    """

    ratios: list[dict[str, float]] = field(default_factory=lambda: [{}])
    problems: list[str] = field(default_factory=lambda: [""])
    interrupted: int | None = None
    runs: dict[str, list[str]] = field(default_factory=dict)
    complete: int = 0

    def load(self, path: Path, **_: object) -> ScriptedExperiment:
        return ScriptedExperiment(path.stem, self)

    def measured(self, experiment: ScriptedExperiment, benchmarks: Sequence[Benchmark]) -> MeasuredSuite:
        number = self.complete - 1
        ratios = self.ratios[min(number, len(self.ratios) - 1)]
        return MeasuredSuite(
            run=self.runs[experiment.name][-1],
            benchmarks={
                one.name: Measured(pairs=pairs(ratios.get(one.name, 1.0)), margin=one.margin or MARGIN)
                for one in benchmarks
            },
            seconds={
                "baseline": {one.name: one.median for one in benchmarks},
                "tree": {one.name: one.median * ratios.get(one.name, 1.0) for one in benchmarks},
            },
            problem=self.problems[min(number, len(self.problems) - 1)],
            warnings=(),
        )


@dataclass
class ScriptedExperiment:
    """Counts its runs. The run with the number `interrupted` of all is broken off at its first call."""

    name: str
    script: Script

    def run(self, *, fresh: bool = False, listener: object = None) -> ScriptedExperiment:
        script = self.script
        runs = script.runs.setdefault(self.name, [])
        if fresh or not runs:
            runs.append(f"{self.name}-{len(runs)}")
        elif not runs[-1].endswith("unfinished"):
            return self
        if script.interrupted == script.complete:
            script.interrupted = None
            runs[-1] += " unfinished"
            raise KeyboardInterrupt
        runs[-1] = runs[-1].removesuffix(" unfinished")
        script.complete += 1
        return self

    @contextlib.contextmanager
    def opened(self) -> Iterator[tuple[None, tuple[SimpleNamespace, ...]]]:
        yield None, (SimpleNamespace(id=self.script.runs[self.name][-1]),)


def pairs(ratio: float) -> tuple[float, ...]:
    """The logarithms of the ratio in so many rounds, with a scatter of 0.2 %."""
    return tuple(math.log(ratio) + 0.002 * math.sin(number) for number in range(ROUNDS))


@dataclass(frozen=True)
class Project:
    """Two versions of a project, `baseline` and `tree`, in folders, and what measures them."""

    folder: Path
    script: Script

    @classmethod
    def make(cls, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
        """Studies are scripted."""
        project = cls(folder, Script())
        (folder / "log").write_text("")
        project.set_python(lacks_pytest=False)
        for name in ("baseline", "tree"):
            project.put(name, {A: 0.01, B: 0.02})
        monkeypatch.setattr("harness.gate.gate.load", project.script.load)
        monkeypatch.setattr("harness.gate.gate.measured_suite", project.script.measured)
        return project

    @classmethod
    def make_real(cls, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
        """Studies are run. Their trials are processes that this one starts, and the control loop is short."""
        with pytest.MonkeyPatch.context() as patch:
            project = cls.make(folder, patch)
        monkeypatch.setattr("harness.machine.matmul.ENOUGH_SECONDS", 0.0)
        monkeypatch.setattr("harness.run.backends.local.LocalBackend", InProcess)
        project.set_control(monkeypatch, factor=1.0)
        return project

    @property
    def python(self) -> Path:
        return self.folder / "python"

    def set_python(self, *, lacks_pytest: bool) -> None:
        text = _PYTHON.format(
            python=sys.executable, log=str(self.folder / "log"), lacks=1 if lacks_pytest else 0
        )
        self.python.write_text(text)
        self.python.chmod(0o755)

    def set_control(self, monkeypatch: pytest.MonkeyPatch, *, factor: float) -> None:
        """How much longer the control loop takes in the tree than in the baseline."""
        file = self.folder / "control.py"
        file.write_text(_CONTROL.format(factor=factor))
        monkeypatch.setattr("harness.gate.suite.control_loop", SimpleNamespace(__file__=str(file)))

    def put(self, version: str, seconds: Mapping[str, object], **others: object) -> None:
        """The seconds of each benchmark of a version. The file of each benchmark has a function for it."""
        folder = self.folder / version
        (folder / "bench").mkdir(parents=True, exist_ok=True)
        (folder / "speeds.json").write_text(json.dumps({"seconds": dict(seconds), **others}))
        for file in {name.partition("::")[0] for name in seconds}:
            names = [name.rpartition("::")[2] for name in seconds if name.startswith(file)]
            functions = [f"def {name.partition('[')[0]}(benchmark): pass\n" for name in names]
            (folder / file).write_text("".join(dict.fromkeys(functions)))

    @property
    def processes(self) -> int:
        """How many processes have measured so far."""
        return len((self.folder / "log").read_text().splitlines())

    @property
    def workspace(self) -> Workspace:
        return Workspace(results=self.folder / "results", reports=self.folder / "reports")

    @property
    def suite(self) -> Suite:
        return Suite(paths=("bench",), python=str(self.python))

    def version(self, name: str) -> Version:
        return Version(named=name, folder=self.folder / name, revision=None, built=False)

    def question(self, **options: Any) -> GateQuestion:
        versions = self.version("baseline"), self.version("tree")
        return GateQuestion(**{"suite": self.suite, "versions": versions, "rounds": ROUNDS, **options})

    def gate(self, **options: Any) -> GateResult:
        return gate(self.question(**options), workspace=self.workspace, device="cpu")


def states(result: GateResult) -> dict[str, str]:
    return {one.name: one.state for one in result.findings}


def run_git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def commit(folder: Path, message: Sequence[str] = ("one",)) -> None:
    """Everything in the folder as a commit of its repository, which is made if there is none."""
    if not (folder / ".git").exists():
        run_git(folder, "init", "--quiet")
    run_git(folder, "add", "--all")
    run_git(folder, "commit", "--quiet", "--message", *message)
