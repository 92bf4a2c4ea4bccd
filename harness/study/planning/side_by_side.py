"""Which trials may run at the same time on one machine, and with how many threads."""

from __future__ import annotations

from harness.metrics import metric
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import TrialBatch
from harness.tasks.registry import task_class

_UNTIMED = ("train", "tune", "check", "measure")


def alone_because_of(loaded: LoadedStudy) -> str:
    """The first metric, or kind of work, whose value depends on what else the machine does: a study that
    claims something about it, or compares or tunes by it, runs its trials one after the other. Empty if
    there is none.
    """
    study, tune = loaded.study, loaded.study.design.tune
    claimed = (name for claim in study.claims.values() for name in claim.metrics(study.primary))
    names = (study.primary, *claimed, *([tune.by] if tune else ()))
    if "seconds" in study.parity.match:
        return "seconds"
    return next((name for name in names if metric(name).depends_on_the_machine), "")


def runs_side_by_side(loaded: LoadedStudy) -> bool:
    """Whether the trials of a study may run at the same time. Nobody knows how many threads a program of the
    user starts, so its study has to say that it may.
    """
    chosen = loaded.study.design.side_by_side
    if chosen is not None:
        return chosen
    return loaded.study.task != "command" and not alone_because_of(loaded)


def may_be_shared(loaded: LoadedStudy, batch: TrialBatch) -> bool:
    """Whether the trials of a batch may run side by side, or on the machines of several drivers."""
    if batch.purpose not in _UNTIMED or loaded.study.design.side_by_side is False:
        return False
    return batch.purpose == "train" or runs_side_by_side(loaded)


def trials_at_once(loaded: LoadedStudy, batch: TrialBatch, cores: int) -> int:
    """How many trials of a batch run at the same time on so many cores. 1 means one after the other.

    It depends on the design only, and not on what an earlier session has finished, because it decides the
    number of threads. All measurements of a study are one crowd, whatever their rounds. The training of a
    shared model is never timed, so several of them run side by side in every study. A trial of several ranks
    takes a core for each.
    """
    if not may_be_shared(loaded, batch):
        return 1
    design, planned = loaded.study.design, len(batch.trials)
    if batch.purpose == "measure":
        planned = len(loaded.arms) * len(loaded.conditions) * design.seeds * design.rounds
    return max(1, min(cores // _most_ranks(loaded, batch), planned))


def _most_ranks(loaded: LoadedStudy, batch: TrialBatch) -> int:
    if batch.purpose == "train":
        return max(task_class(spec.task).read(spec.config).ranks for spec in batch.trials)
    return max(task.ranks for task in loaded.tasks.values())
