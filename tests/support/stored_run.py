"""Runs of few trials, as a driver records them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.store.rows import Identity, Run
from harness.store.store import Store
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec


def trial(seed: int = 1, arm: str = "dynamic") -> TrialSpec:
    """A different trial for each seed and arm."""
    return TrialSpec(
        purpose="measure",
        task="generate",
        arm=arm,
        condition={"new_tokens": "16"},
        seed=seed,
        round=1,
        config={"cache": {"kind": arm}},
    )


def create(
    store: Store, *, study: str = "kv_cache", scale: str = "cpu", trials: Sequence[TrialSpec] = ()
) -> Run:
    """A run in the store that has not begun."""
    return store.create_run(
        Identity(study_digest=study, scale=scale, code_digest="c0de", environment_digest="e" * 16),
        study=study,
        study_json=f'{{"study":"{study}"}}',
        study_source=f"study: {study}\n",
        environment={"cpu": "any", "threads": 1},
        trials=trials,
    )


def finish(store: Store, run: Run, *specs: TrialSpec, samples: int = 3) -> None:
    """Record that these trials of the run finish in a session of their own, with samples of one metric."""
    session = store.open_session(run, {"command": "harness run"})
    for position, spec in enumerate(specs):
        attempt_id = store.begin_trial(run, session, spec, position=position)
        measured = tuple(Sample("loss", step, 0.5 + step) for step in range(samples))
        store.finish_trial(attempt_id, Outcome(status="finished", samples=measured), seconds=1.0)
    store.close_session(session)
