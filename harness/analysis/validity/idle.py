"""Arms whose levels seem to do nothing: what they gave is bit for bit what the baseline gave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.config import canonical_json
from harness.invariants.registry import find_invariant
from harness.metrics import metric
from harness.store.rows import TrialRow
from harness.study.loaded import LoadedStudy


def idle_warnings(loaded: LoadedStudy, trials: Iterable[TrialRow]) -> Iterator[str]:
    """For a study of what comes out.

    One of costs wants arms that do the same, and of other arms an invariant may.
    """
    if metric(loaded.study.primary).paired_over == "rounds":
        return
    outputs: dict[str, dict[tuple[str, int, int], dict[str, str]]] = {}
    for trial in trials:
        if trial.purpose == "measure" and trial.status == "finished":
            place = canonical_json(trial.condition), trial.seed, trial.round
            outputs.setdefault(trial.arm, {})[place] = trial.outputs
    baseline = outputs.get(loaded.baseline.name, {})
    if not baseline or not all(baseline.values()):
        return
    for arm in loaded.arms[1:]:
        wanted = (wanted_alike(loaded, arm.name, invariant) for invariant in loaded.study.invariants)
        if outputs.get(arm.name) == baseline and not any(wanted):
            yield (
                f"arm {loaded.label(arm.name)} did exactly what the baseline did on every seed: "
                "its level may do nothing"
            )


def wanted_alike(loaded: LoadedStudy, arm: str, invariant: str) -> bool:
    """Whether the invariant wants the arm to give exactly what the baseline gives, under every condition."""
    wants = find_invariant(invariant).wants_alike
    return all(wants(task.model_dump()) for (name, _), task in loaded.tasks.items() if name == arm)
