"""Hand-made trials through a real store: what the analysis reads is what the database gives back."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from harness.analysis.analyse import analyse
from harness.analysis.frames import MemoryFrames, long_frame, run_frames
from harness.analysis.results import Analysis
from harness.config import canonical_json
from harness.invariants.base import Check
from harness.store.rows import Identity, Run, TrialRow
from harness.store.store import Store, open_store
from harness.study.loaded import LoadedStudy
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec


def stored(folder: Path, loaded: LoadedStudy, frames: MemoryFrames, *, machine: str = "here") -> MemoryFrames:
    """The frames of a run that recorded these trials, samples and checks, read back from its database."""
    checks: dict[tuple[str, str], list[Check]] = defaultdict(list)
    for row in frames.checks:
        fields = {name: getattr(row, name) for name in Check.__dataclass_fields__}
        checks[row.invariant, row.arm].append(Check(**fields))
    samples: dict[int, list[Sample]] = defaultdict(list)
    columns = (frames.samples[name].tolist() for name in ("trial", "metric", "step", "value"))
    for trial, name, step, value in zip(*columns, strict=True):
        samples[trial].append(Sample(name, step, value))
    outcomes = [
        (
            _spec(row),
            Outcome(
                status="finished",
                samples=tuple(samples[row.id]),
                outputs=row.outputs,
                spent=row.spent,
                notes=row.notes,
                sentences=frames.sentences.get(row.id),
            ),
        )
        for row in sorted(frames.trials, key=lambda row: row.position)
    ]
    for (invariant, arm), made in checks.items():
        config = {"task": loaded.study.task, "configs": []}
        spec = TrialSpec(
            purpose="check", task=invariant, arm=arm, condition={}, seed=0, round=0, config=config
        )
        outcomes.append((spec, Outcome(status="finished", samples=(), checks=tuple(made))))
    with open_store(folder / "harness.db") as store:
        read = run_frames(store, _recorded(store, loaded, outcomes, machine))
        return MemoryFrames(
            samples=long_frame(store, read.trials),
            trials=read.trials,
            checks=read.checks,
            sentences=read.sentences,
            chain=read.chain,
        )


def judged(folder: Path, loaded: LoadedStudy, frames: MemoryFrames) -> Analysis:
    """The analysis of the run that recorded these frames, whose samples are read from its database."""
    stored(folder, loaded, frames)
    with open_store(folder / "harness.db") as store:
        return analyse(loaded, run_frames(store, store.runs()[-1]))


def _spec(row: TrialRow) -> TrialSpec:
    return TrialSpec(
        purpose="measure",
        task=row.task,
        arm=row.arm,
        condition=row.condition,
        seed=row.seed,
        round=row.round,
        config={},
    )


def _recorded(
    store: Store, loaded: LoadedStudy, outcomes: list[tuple[TrialSpec, Outcome]], machine: str
) -> Run:
    identity = Identity(
        study_digest=loaded.study.digest, scale="cpu", code_digest="c0de", environment_digest=machine
    )
    run = store.create_run(
        identity,
        study=loaded.study.study,
        study_json=canonical_json(loaded.study.plain()),
        study_source="",
        environment={"cpu": machine},
        trials=[spec for spec, _ in outcomes],
    )
    session = store.open_session(run, {})
    for position, (spec, outcome) in enumerate(outcomes):
        attempt = store.begin_trial(run, session, spec, position=position)
        store.finish_trial(attempt, outcome, seconds=1.0)
    store.close_session(session)
    return run
