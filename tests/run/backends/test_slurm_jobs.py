"""What a job of Slurm asks for, and what a person learns if it is refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.run.backends.cluster import Need
from harness.run.backends.slurm_jobs import SlurmJobs
from harness.run.backends.slurm_settings import SlurmSettings
from tests.end_to_end.workplace import Workplace

NO_SUBMITIT = "submitit is not installed: pip install 'transformer-harness[slurm]'"
REFUSAL = """\
sbatch: error: invalid partition specified: gpuu
sbatch: error: Batch job submission failed: Invalid partition name specified
"""
ACCEPTS = 'cp "$1" "$(dirname "$0")/submitted.sh"; echo "Submitted batch job 17"'


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH with the commands of Slurm. Its sbatch accepts every job and keeps it."""
    pytest.importorskip("submitit", reason=NO_SUBMITIT)
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sbatch", "squeue", "scancel", "srun"):
        script(folder / name, ACCEPTS if name == "sbatch" else "")
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)


def test_a_job_asks_for_what_the_profile_says_and_starts_the_worker(programs: Path, tmp_path: Path) -> None:
    settings = SlurmSettings.read(
        {
            "partition": "gpu",
            "account": "course",
            "qos": "short",
            "time": 90,
            "memory": "16G",
            "gpus": "a100",
            "setup": ["module load cuda"],
            "options": {"reservation": "monday"},
        }
    )
    jobs = SlurmJobs(settings, tmp_path / "jobs", "harness-1", "me")
    need = Need(cpus=4, gpus=2, alone=True)
    assert jobs.submit(need, tmp_path / "worker-1") == "17"
    lines = (programs / "submitted.sh").read_text().splitlines()
    asked = dict(line.removeprefix("#SBATCH --").partition("=")[::2] for line in lines if "#SBATCH" in line)
    expected = {
        "partition": "gpu",
        "account": "course",
        "qos": "short",
        "time": "90",
        "mem": "16G",
        "gres": "gpu:a100:2",
        "cpus-per-task": "4",
        "nodes": "1",
        "job-name": "harness-1",
        "reservation": "monday",
        "exclusive": "",
    }
    assert {name: asked.get(name) for name in expected} == expected
    assert lines.index("module load cuda") < next(n for n, line in enumerate(lines) if sys.executable in line)
    jobs.submit(need._replace(alone=False, gpus=0), tmp_path / "worker-2")
    shared = (programs / "submitted.sh").read_text()
    assert "--exclusive" not in shared
    assert "--gres" not in shared


def test_what_sbatch_says_is_one_line_and_nothing_is_written(
    programs: Path, workplace: Workplace, tmp_path: Path
) -> None:
    script(programs / "sbatch", f"cat >&2 <<'END'\n{REFUSAL}END\nexit 1")
    profile = tmp_path / "site.toml"
    profile.write_text('backend = "slurm"\n[slurm]\npartition = "gpuu"\n')
    before = sorted(workplace.folder.rglob("*"))
    done = workplace.asked("run", "tiny", "--scale", "smoke", "--profile", str(profile))
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == (
        "error: the job of a worker cannot be submitted: invalid partition specified: gpuu: Batch job "
        "submission failed: Invalid partition name specified; the table [slurm] of the profile says what is "
        "asked for"
    )
    assert sorted(workplace.folder.rglob("*")) == before


def test_without_the_library_the_message_says_how_to_install_it(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"not installed; pip install 'transformer-harness\[slurm\]'"):
        SlurmJobs(SlurmSettings(), tmp_path, "harness-1", "me")


@pytest.mark.parametrize("missing", ["sbatch", "scancel"])
def test_without_the_commands_of_slurm_nothing_is_written(
    programs: Path, workplace: Workplace, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    (programs / missing).unlink()
    monkeypatch.setenv("PATH", str(programs))
    before = sorted(workplace.folder.rglob("*"))
    done = workplace.asked("run", "tiny", "--scale", "smoke", "--backend", "slurm")
    assert done.exit_code == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: the backend slurm needs the command {missing}, which is not on PATH; ")
    assert sorted(workplace.folder.rglob("*")) == before
