"""Claims that were declared after the data: somebody could have seen the values before choosing the claim.

A claim is late for a run if, when it first appeared in the store, the store held a value of its metric that
was measured as this run measures it: in one of the claim's arms, under one of its conditions, and with the
same seed. It does not matter in which run. The order of events in the store decides, and no clock. A trial
that had only begun had no value. A fresh run draws other seeds, so earlier values say nothing about its own.

The result of a training is the same in every run, so knowing one side of a comparison is enough to choose
the claim by luck: a baseline with unlucky seeds stays unlucky. A value of a round is measured anew in each
run. There a claim is late only if both sides of its comparison had been measured; the baseline of one study
is often that of another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

from harness.config import canonical_json, digest
from harness.metrics import metric
from harness.store.rows import DeclaredClaim, MeasuredAttempt, Run
from harness.store.store import Store
from harness.study.arms import Combination
from harness.study.claim_content import claim_digest, declared_digest, margin_contents
from harness.study.loaded import LoadedStudy
from harness.trial.spec import TrialSpec

Cell = tuple[str, str]
"""The name of an arm, and a condition as canonical JSON."""


def claim_digests(loaded: LoadedStudy) -> dict[str, str]:
    """The digest of every claim of a study, by its id. `loaded` is the study before tuning."""
    return {name: claim_digest(loaded, claim) for name, claim in loaded.study.claims.items()}


def late_claims(store: Store, loaded: LoadedStudy, run: Run) -> dict[str, DeclaredClaim]:
    """The claims of the study that are late for the run, by id, with their first appearance.

    A claim that the store has never seen is not late: `harness.experiment` records every claim before it is
    judged.
    """
    digests, seen = claim_digests(loaded), _Seen(store, loaded, run)
    declared = store.declared_claims(digests.values())
    late: dict[str, DeclaredClaim] = {}
    for name, claim in loaded.study.claims.items():
        first = declared.get(digests[name])
        if first is None or claim.exact:
            continue
        conditions = claim.compared_conditions(loaded.conditions)
        sides = [_cells(side, conditions) for side in claim.sides(loaded.arms)]
        if any(seen.sides(first, metric, sides) for metric in claim.metrics(loaded.study.primary)):
            late[name] = first
    return late


def late_margins(store: Store, loaded: LoadedStudy, run: Run) -> frozenset[str]:
    """The metrics whose margin was declared after values of the metric, in any arm of the run."""
    if not loaded.tasks:
        return frozenset()
    digests = {name: declared_digest(declared) for name, declared in margin_contents(loaded).items()}
    declared, seen = store.declared_claims(digests.values()), _Seen(store, loaded, run)
    sides = [_cells(side, loaded.conditions) for side in (loaded.arms[:1], loaded.arms[1:])]
    return frozenset(
        name for name, key in digests.items() if key in declared and seen.sides(declared[key], name, sides)
    )


def _cells(arms: Sequence[Combination], conditions: Sequence[Combination]) -> set[Cell]:
    return {(arm.name, canonical_json(condition.names)) for arm in arms for condition in conditions}


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the store held of the measurements of a run, in this run and in all others."""

    store: Store
    loaded: LoadedStudy
    run: Run

    def sides(self, first: DeclaredClaim, name: str, sides: Sequence[Collection[Cell]]) -> bool:
        """Whether what was measured before a declaration says something about a comparison of these sides."""
        needed = all if metric(name).paired_over == "rounds" else any
        return needed(self.before(first, name, cells) for cells in sides)

    def before(self, first: DeclaredClaim, name: str, cells: Collection[Cell]) -> bool:
        """Whether there was a value of a metric in one of the cells (arm, condition) before a declaration."""
        if not first.after_attempt:
            return False
        by_index = self._shares_models and metric(name).paired_over != "rounds"
        mine = {content for cell in cells for content in self._planned(by_index=by_index).get(cell, ())}
        matching = [
            row.id
            for row in self._attempts
            if row.id <= first.after_attempt and _content_of(row, by_index=by_index) in mine
        ]
        return bool(matching) and self.store.measured(name, matching)

    @cached_property
    def _shares_models(self) -> bool:
        return any(task.trainings() for task in self.loaded.tasks.values())

    @cached_property
    def _attempts(self) -> list[MeasuredAttempt]:
        return self.store.finished_measurements(self.loaded.study.task)

    @cached_property
    def _specs(self) -> list[tuple[tuple[str, str], str]]:
        """(arm, condition) and the specification of each measurement of the run."""
        rows = (row for row in self.store.planned(self.run) if row.purpose == "measure")
        return [((row.arm, canonical_json(row.condition)), row.spec_json) for row in rows]

    @cache  # noqa: B019  lives as long as one history is read
    def _planned(self, *, by_index: bool) -> dict[tuple[str, str], set[str]]:
        planned: dict[tuple[str, str], set[str]] = {}
        draws = self.run.draw, self.run.training_draw
        for cell, spec_json in self._specs:
            row = MeasuredAttempt(0, spec_json, *draws)
            planned.setdefault(cell, set()).add(_content_of(row, by_index=by_index))
        return planned


def _content_of(row: MeasuredAttempt, *, by_index: bool) -> str:
    return _content(row.spec_json, by_index=by_index and row.training_draw != row.draw)


@lru_cache(maxsize=65536)
def _content(spec_json: str, *, by_index: bool) -> str:
    """What a trial measures: its settings and its seed, whatever its arm is called and whichever round it is.

    `by_index` is for results of shared models that a fresh run did not train anew: the index of the seed then
    says which model it is.
    """
    spec = TrialSpec.model_validate_json(spec_json)
    seed = spec.seed if by_index else spec.generator
    return digest({"task": spec.task, "config": spec.config_content, "seed": seed})
