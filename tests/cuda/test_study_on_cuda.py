"""A whole study on a GPU, by the command line: trained, checked, timed, watched by NVML, reported."""

from __future__ import annotations

import json

from harness.store.store import open_store
from tests.end_to_end.workplace import Workplace


def test_a_study_runs_on_the_gpu_and_again_nothing_is_left_to_do(workplace: Workplace) -> None:
    done = workplace.harness("run", "tiny", "--scale", "smoke", "--device", "auto", "--json")
    assert done.returncode == 0, done.stderr
    assert "invalid" not in {claim["verdict"] for claim in json.loads(done.stdout)["claims"]}
    (run,) = workplace.runs()
    with open_store(workplace.database) as store:
        telemetry = list(store.telemetry(row.id for row in store.trials(run)))
        checks = store.checks(run)
    assert all(check.passed for check in checks)
    assert {check.precision for check in checks} == {"float64", "float32"}
    assert any(row.gpu_memory_bytes for row in telemetry)
    again = workplace.harness("run", "tiny", "--scale", "smoke", "--device", "auto")
    assert again.returncode == 0, again.stderr
    assert len(workplace.trials()) == len(workplace.trials(superseded=True))
