"""A folder with a tiny study, in which tests run the real command line."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
from typer.testing import CliRunner, Result

from harness.cli.app import app
from harness.config import digest
from harness.machine.code_digest import PACKAGE
from harness.store.rows import Run, TrialRow
from harness.store.store import open_store
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.tasks.work import Work
from tests.support.tiny_study import STUDY as TINY_STUDY
from tests.support.tiny_study import patched, put

COMMAND = Path(sys.executable).with_name("harness")
FAULTS = Path(__file__).with_name("faults")
DEADLINE_S = 90.0
RUN = ("run", "tiny", "--scale", "smoke")
LEAST = ("run", "tiny", "--scale", "least")

STUDY = patched(
    TINY_STUDY,
    ("  cache: none\n", "  cache: none\n  units: 1\n  warm_up: {at_least: 0, at_most: 1, window: 2}\n"),
    (
        "    across: {new_tokens: [8, 32]}\n",
        """\
    across: {new_tokens: [8, 32]}
    compare: {cache: [none, dynamic]}
  least:
    design: {rounds: 1, exploratory: true}
    across: {new_tokens: [8]}
    compare: {cache: [none, dynamic]}
    claims: {fast: {at: {new_tokens: 8}}}
""",
    ),
)
"""The tiny study, which measures as shortly as can be, with fewer arms in its small scales."""

Exact = dict[str, tuple[dict[str, str], Work, float | None]]


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Everything that a test's commands read and write lies in `folder`, but for the corpus cache, which
    tests share.
    """

    folder: Path
    cache: Path
    code: Path

    @classmethod
    def make(cls, folder: Path, *, cache: Path, code: Path) -> Workplace:
        """With packages in it that have our packages' names, and break whoever imports them.

        `code` holds ours.
        """
        put(folder, STUDY)
        (folder / "tmp").mkdir()
        for name in ("models", "harness"):
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(
                f"raise RuntimeError('the {name} of a user was imported')"
            )
        return cls(folder=folder, cache=cache, code=code)

    def copied(self, folder: Path) -> Workplace:
        """A workplace in a new folder with everything that this one has so far."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)

    @property
    def study(self) -> Path:
        return self.folder / "studies" / "tiny.yaml"

    @property
    def database(self) -> Path:
        return self.folder / "results" / "harness.db"

    def met(self, name: str) -> int:
        """How often the fault of that name has been met."""
        mark = self.folder / f"met-{name}"
        return len(mark.read_text().splitlines()) if mark.exists() else 0

    def environment(self, fault: dict[str, Any] | None = None) -> dict[str, str]:
        """With a lease of the place's own (see `faults`), so that it waits for no other measurement."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
        variables |= {"HARNESS_CACHE": str(self.cache), "TMPDIR": str(self.folder / "tmp")}
        variables["TEST_LEASE"] = f"transformer-harness-tests-{digest(str(self.folder))}"
        if fault is not None:
            variables["FAULT"] = json.dumps({"mark": str(self.folder / f"met-{fault['name']}"), **fault})
        return {**variables, "PYTHONPATH": os.pathsep.join([str(self.code), str(FAULTS)])}

    def start(self, *arguments: str, fault: dict[str, Any] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(COMMAND), *arguments],
            cwd=self.folder,
            env=self.environment(fault),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_hear_interrupts,  # noqa: PLW1509  it takes no lock
        )

    def harness(
        self, *arguments: str, fault: dict[str, Any] | None = None
    ) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, fault=fault) as process:
            try:
                out, err = process.communicate(timeout=DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def asked(self, *arguments: str) -> Result:
        """The command in this process, for tests of what it says: most of a command's time is its start."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
        variables["HARNESS_CACHE"] = str(self.cache)
        with contextlib.chdir(self.folder), mock.patch.dict(os.environ, variables, clear=True):
            return CliRunner().invoke(app, list(arguments))

    def loaded(self, scale: str = "smoke") -> LoadedStudy:
        return load_study(self.study, scale)[0]

    def runs(self) -> list[Run]:
        with open_store(self.database) as store:
            return store.runs("tiny")

    def trials(self, run: Run | None = None, *, superseded: bool = False) -> list[TrialRow]:
        """Of the newest run, unless another is named."""
        with open_store(self.database) as store:
            return store.trials(run or store.runs("tiny")[-1], include_superseded=superseded)

    def finished(self, run: Run | None = None) -> list[str]:
        """The content ids of finished trials, one for each time that a trial finished."""
        return sorted(row.spec_id for row in self.trials(run) if row.status == "finished")

    def exact(self, run: Run | None = None) -> Exact:
        """All that a finished trial must give again, whenever and however often it is interrupted."""
        with open_store(self.database) as store:
            chosen = run or store.runs("tiny")[-1]
            samples = store.samples(chosen)
            cache_bytes = {row.trial_id: row.value for row in samples if row.metric == "cache_bytes"}
            rows = [row for row in store.trials(chosen) if row.status == "finished"]
        return {row.spec_id: (row.outputs, row.spent, cache_bytes.get(row.id)) for row in rows}


def copy_code(folder: Path) -> Path:
    """The code as it is now, laid out as in a clone, for tests that edit it or take longer than an edit. With
    what Python has compiled of it, which counts until a file changes.
    """
    shutil.copytree(PACKAGE, folder / "harness", symlinks=True)
    if (PACKAGE / "models").is_symlink():
        shutil.copytree((PACKAGE / "models").resolve(), folder / "models")
    return folder


def _hear_interrupts() -> None:
    """A shell that runs the tests in the background makes them ignore SIGINT, and children inherit this."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for `condition` while `process` runs; what the process said becomes the error otherwise."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError("it did not come to that:\n" + "".join(process.communicate()))
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def still_there(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended by the deadline."""
    _, alive = psutil.wait_procs(list(processes), timeout=20)
    return list(alive)
