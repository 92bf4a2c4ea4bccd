"""The fingerprint: what moves its digest, what must not, and what it must not give away."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.machine.environment import (
    Environment,
    affinity_cores,
    cores_within,
    environment,
    provenance,
    usable_cores,
)
from harness.telemetry.nvml import Gpu


def test_digest_repeats_and_survives_json() -> None:
    here = environment()
    assert here.digest == environment().digest
    assert Environment.model_validate_json(here.model_dump_json()) == here
    assert Environment.model_validate_json(here.model_dump_json()).digest == here.digest


def test_every_comparable_part_moves_the_digest() -> None:
    here = environment()
    changes: dict[str, object] = {
        "machine": "x",
        "cpu": "x",
        "cores": 999,
        "cpu_quota": 0.5,
        "memory_mib": 1,
        "os": "x",
        "kernel": "x",
        "libc": "x",
        "python": "x",
        "packages": {"torch": "0"},
        "gpus": (Gpu("GPU-1", "x", 1, "1"),),
        "variables": {"MALLOC_X": "1"},
    }
    digests = {here.model_copy(update={name: value}).digest for name, value in changes.items()} | {
        here.digest
    }
    assert len(digests) == len(changes) + 1
    assert set(changes) | {"nvml_reason"} == set(Environment.model_fields)
    assert here.model_copy(update={"nvml_reason": "another"}).digest == here.digest


def test_the_variables_that_matter_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = environment().digest
    monkeypatch.setenv("HARNESS_UNRELATED", "1")
    assert environment().digest == before
    for name in ("MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
        assert environment().variables[name] == "7"
    assert environment().digest != before


def test_variables_are_recorded_by_their_exact_names(monkeypatch: pytest.MonkeyPatch) -> None:
    before = environment()
    for name in ("TORCH_TOKEN", "OMP_SECRET", "MKL_KEY", "MALLOC_", "LD_PRELOAD_TOKEN", "KMP_AFFINITY_"):
        monkeypatch.setenv(name, "CANARY")
    assert environment() == before


def test_variables_are_recorded_without_secrets_and_can_always_be_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCH_LOGS", "https://me:CANARY@host/logs")
    monkeypatch.setenv("LD_PRELOAD", "/lib/\udcff\x1b.so")
    variables = environment().variables
    assert variables["TORCH_LOGS"] == "https://***@host/logs"
    assert variables["LD_PRELOAD"] == "/lib/\\udcff\\x1b.so"
    assert environment().digest == environment().digest


def test_the_command_is_recorded_without_secrets_and_without_the_folder_of_its_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql://me:CANARY@host/db?sslpassword=CANARY"
    monkeypatch.setattr(sys, "argv", ["/home/CANARY/bin/harness", "run", f"--store={url}", "--store", url])
    shown = "postgresql://me:***@host/db?sslpassword=***"
    assert provenance(tmp_path).argv == ("harness", "run", f"--store={shown}", "--store", shown)


def test_it_gives_away_neither_the_machine_id_nor_the_host() -> None:
    dump = environment().model_dump_json()
    secrets = [socket.gethostname()] if len(socket.gethostname()) > 4 else []
    if Path("/etc/machine-id").exists():
        secrets.append(Path("/etc/machine-id").read_text().strip())
    assert not [secret for secret in secrets if secret and secret in dump]
    assert len(environment().machine) == 64


def test_cores_are_those_that_the_process_may_use() -> None:
    if sys.platform != "linux":
        pytest.skip("affinity is Linux's")
    one = min(os.sched_getaffinity(0))
    program = (
        "import os; os.sched_setaffinity(0, {%d});"
        "from harness.machine.environment import environment; print(environment().cores)"
    )
    assert int(subprocess.check_output([sys.executable, "-c", program % one])) == 1


@pytest.mark.parametrize(
    ("affinity", "quota", "usable"),
    [(16, None, 16), (16, 2.0, 2), (16, 2.9, 2), (2, 16.0, 2), (16, 0.5, 1), (1, None, 1)],
)
def test_usable_cores_are_the_smaller_of_affinity_and_quota(
    affinity: int, quota: float | None, usable: int
) -> None:
    assert cores_within(affinity, quota) == usable


def test_usable_cores_of_this_process() -> None:
    assert usable_cores() == cores_within(affinity_cores(), environment().cpu_quota)


def test_the_driver_can_ask_without_importing_torch_or_numpy() -> None:
    program = (
        "import sys\n"
        "from harness.machine import calibration, code_digest, environment\n"
        "from harness.telemetry import cgroup, clock, memory, nvml, process_sampler\n"
        "versions = environment.environment().packages\n"
        "print(versions['torch'], sorted({'torch', 'numpy', 'scipy', 'pandas'} & set(sys.modules)))\n"
        "import harness.run.driver\n"
        "print('torch' in sys.modules, 'harness.machine.matmul' in sys.modules)"
    )
    asked, driven = subprocess.check_output([sys.executable, "-c", program], text=True).splitlines()
    version, loaded = asked.split(maxsplit=1)
    assert version.startswith("2.")
    assert loaded == "[]"
    assert driven == "False False", "matrix products need torch, so only workers may import them"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    def git(*command: str) -> None:
        subprocess.run(
            ["git", "-C", tmp_path, "-c", "user.name=n", "-c", "user.email=e", *command], check=True
        )

    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    return tmp_path


def test_provenance_tells_the_commit_and_whether_files_differ(repository: Path) -> None:
    commit = subprocess.check_output(["git", "-C", repository, "rev-parse", "HEAD"], text=True).strip()
    (repository / "untracked").write_text("a person's own study")
    clean = provenance(repository)
    assert (clean.git_commit, clean.git_dirty) == (commit, False)
    (repository / "file").write_text("two")
    assert provenance(repository).git_dirty is True
    assert clean.argv == (Path(sys.argv[0]).name, *sys.argv[1:])
    assert abs(datetime.now(UTC) - clean.started_at) < timedelta(minutes=1)


def test_provenance_leaves_the_index_alone(repository: Path) -> None:
    index = repository / ".git" / "index"
    os.utime(repository / "file", (10**9, 10**9))  # git status would write down the new time, under a lock
    before = index.read_bytes()
    assert provenance(repository).git_dirty is False
    assert index.read_bytes() == before


def test_provenance_outside_a_repository_or_without_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert (provenance(tmp_path).git_commit, provenance(tmp_path).git_dirty) == (None, None)
    monkeypatch.setenv("PATH", "")
    assert provenance(tmp_path).git_commit is None
