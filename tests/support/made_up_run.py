"""A run that is in no store."""

from __future__ import annotations

from typing import Any

from harness.store.rows import Run


def made_up_run(run_id: str = "ab-1", **fields: Any) -> Run:
    """A run of kv_cache at scale cpu, of which `fields` are other."""
    usual: dict[str, Any] = {
        "ordinal": 1,
        "study": "kv_cache",
        "scale": "cpu",
        "study_digest": "d",
        "code_digest": "c",
        "environment_digest": "e",
        "plant": None,
        "study_json": "{}",
        "study_source": "",
        "environment": {},
        "expected_trials": 1,
        "created_at": "",
    }
    return Run(id=run_id, **{**usual, **fields})
