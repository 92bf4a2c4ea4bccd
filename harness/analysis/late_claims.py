"""Claims that were declared after the data: somebody could have seen the values before choosing the claim.

A claim is late for a run if, when it first appeared in the store, the store held a value of its metric that
was measured as this run measures it: in one of the claim's arms, under one of its conditions, and with the
same seed. It does not matter in which run. The order of events in the store decides, and no clock. A trial
that had only begun had no value. A fresh run draws other seeds, so earlier values say nothing about its own.
"""

from __future__ import annotations

from functools import lru_cache

from harness.config import canonical_json, digest
from harness.metrics import metric
from harness.store.rows import DeclaredClaim, Run
from harness.store.store import Store
from harness.study.claim_content import claim_digest
from harness.study.claims.base import Claim
from harness.study.loaded import LoadedStudy
from harness.trial.spec import TrialSpec


def claim_digests(loaded: LoadedStudy) -> dict[str, str]:
    """The digest of every claim of a study, by its id. `loaded` is the study before tuning."""
    return {name: claim_digest(loaded, claim) for name, claim in loaded.study.claims.items()}


def late_claims(store: Store, loaded: LoadedStudy, run: Run) -> dict[str, DeclaredClaim]:
    """The claims of the study that are late for the run, by id, with their first appearance.

    A claim that the store has never seen is not late: `harness.experiment` records every claim before it is
    judged.
    """
    digests = claim_digests(loaded)
    declared = store.declared_claims(digests.values())
    late: dict[str, DeclaredClaim] = {}
    for name, claim in loaded.study.claims.items():
        first = declared.get(digests[name])
        if first is None or claim.exact:
            continue
        if first.after_attempt and _was_measured(store, loaded, run, claim, first.after_attempt):
            late[name] = first
    return late


def _was_measured(store: Store, loaded: LoadedStudy, run: Run, claim: Claim, until: int) -> bool:
    arms = {arm.name for arm in claim.compared_arms(loaded.arms)}
    conditions = {
        canonical_json(condition.names) for condition in claim.compared_conditions(loaded.conditions)
    }
    cells = [
        row.spec_json
        for row in store.planned(run)
        if row.purpose == "measure" and row.arm in arms and canonical_json(row.condition) in conditions
    ]
    shares = any(task.trainings() for task in loaded.tasks.values())
    for name in claim.metrics(loaded.study.primary):
        by_model = shares and metric(name).paired_over != "rounds"
        mine = {_content(spec, by_index=by_model and run.training_draw != run.draw) for spec in cells}
        for row in store.measured_attempts(loaded.study.task, name, until=until):
            if _content(row.spec_json, by_index=by_model and row.training_draw != row.draw) in mine:
                return True
    return False


@lru_cache(maxsize=65536)
def _content(spec_json: str, *, by_index: bool) -> str:
    """What a trial measures: its settings and its seed, whatever its arm is called and whichever round it is.

    `by_index` is for results of shared models that a fresh run did not train anew: the index of the seed then
    says which model it is.
    """
    spec = TrialSpec.model_validate_json(spec_json)
    seed = spec.seed if by_index else spec.generator
    return digest({"task": spec.task, "config": spec.config_content, "seed": seed})
