"""The code is edited between two runs, or holds a bug that nobody planted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import harness
from harness.cli.app import app
from harness.machine.code_digest import code_digests
from harness.models.cache import DynamicCache
from harness.report.build import render
from tests.end_to_end.in_process import InProcess
from tests.end_to_end.workplace import LEAST, Workplace, copy_code


@pytest.fixture
def edited(corpus_cache: Path, tmp_path: Path) -> Workplace:
    """A workplace whose code may be edited."""
    return Workplace.make(tmp_path / "workplace", cache=corpus_cache, code=copy_code(tmp_path / "code"))


def test_an_edited_template_runs_nothing_again_and_an_edited_kernel_runs_everything(
    edited: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command whose template was edited is a process with the edited code. The runs before and after it
    are made here, with the digests of that code.
    """
    package = edited.code / "harness"
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", InProcess)
    monkeypatch.setattr("harness.experiment.experiment.code_digests", lambda: code_digests(package))
    first = edited.asked(*LEAST, "--no-report")
    assert first.exit_code == 0, first.stderr
    [run] = edited.runs()
    attempts = [row.id for row in edited.trials(run)]

    template = package / "report" / "templates" / "page.html.j2"
    template.write_text(template.read_text().replace("</body>", "<p>edited</p></body>"))
    again = edited.harness(*LEAST)
    assert again.returncode == 0, again.stderr
    assert f"run {run.id}: all {len(attempts)} trials are done" in again.stderr
    assert edited.runs() == [run]
    assert [row.id for row in edited.trials(run)] == attempts
    assert "<p>edited</p>" in (edited.folder / "reports" / "tiny.least.html").read_text()

    kernel = edited.code / "models" / "attention_kernels.py"
    kernel.write_text(kernel.read_text() + "# another kernel\n")
    other = edited.asked(*LEAST, "--no-report")
    assert other.exit_code == 0, other.stderr
    new = edited.runs()[-1]
    assert (new.study_digest, new.environment_digest) == (run.study_digest, run.environment_digest)
    assert new.code_digest != run.code_digest
    assert edited.finished(new) == edited.finished(run)  # the training, the checks and every measurement
    assert [row.purpose for row in edited.trials(new)].count("train") == 1


def test_an_off_by_one_in_a_cache_makes_its_arm_invalid(
    in_process: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry does not know this bug: the study must report it instead of a speed-up."""
    read = DynamicCache.__dict__["length"].fget
    monkeypatch.setattr(DynamicCache, "length", property(lambda cache: max(0, read(cache) - 1)))

    done = CliRunner().invoke(app, [*LEAST, "--json"])

    answer = json.loads(done.stdout)
    verdicts = {claim["id"]: claim["verdict"] for claim in answer["claims"]}
    assert done.exit_code == 5
    assert set(answer["invalid"]) == {"cache=dynamic"}
    assert answer["invalid"]["cache=dynamic"].startswith("invariant cache-parity is broken: ")
    assert verdicts["fast"] == "invalid"
    assert verdicts["same"] in ("invalid", "refuted")
    assert "cache-parity is broken" in answer["answer"]
    assert "cache-parity is broken" in done.stderr
    [part] = harness.load("tiny", scale="least").findings()
    assert "cache-parity is broken" in render(part)
    assert in_process.runs()
