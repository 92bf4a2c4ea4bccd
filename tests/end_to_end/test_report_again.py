"""The report again, from the store alone."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.end_to_end.conftest import BaseRun
from tests.support.tiny_study import spoilt

PROGRAM = """
import sys
from harness.cli import main
try:
    main()
finally:
    assert "torch" not in sys.modules, "torch was imported"
"""


def test_a_report_is_written_again_from_the_store_without_torch(base_run: BaseRun) -> None:
    workplace = base_run.workplace
    page = workplace.folder / "reports" / "tiny.smoke.html"
    before = page.read_text()
    page.unlink()
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, "report", "tiny", "--scale", "smoke", "--json"],
        check=False,
        cwd=workplace.folder,
        env=workplace.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["run"] == workplace.runs()[-1].id
    assert page.read_text().splitlines()[0] == before.splitlines()[0]
    assert "Does a cache make generation faster?" in page.read_text()


def test_a_study_that_was_changed_since_its_run_is_not_reported_as_if_it_had_run(base_run: BaseRun) -> None:
    workplace = base_run.workplace
    written = workplace.study.read_text()
    workplace.study.write_text(spoilt(written, "count: 2", "count: 1"))
    try:
        done = workplace.asked("report", "tiny", "--scale", "smoke")
    finally:
        workplace.study.write_text(written)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "tiny was changed after its last run at scale smoke" in done.stderr
    assert done.stderr.rstrip().endswith("harness run studies/tiny.yaml --scale smoke")
