"""What claims are settled on, and what every settlement shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from harness import wording
from harness.analysis.claims.decision import Basis
from harness.analysis.frames import RunFrames
from harness.analysis.results import ALPHA, ClaimVerdict, SettledClaim
from harness.analysis.trial_table import IncomparableError, TrialTable
from harness.config import canonical_json
from harness.metrics import metric
from harness.store.rows import TrialRow
from harness.study.arms import Combination
from harness.study.claims.base import Claim
from harness.study.loaded import LoadedStudy

HERE = "At this scale, on this device,"

ClaimT = TypeVar("ClaimT", bound=Claim)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that claims are settled on. `invalid` gives the reason for each arm whose numbers do not count."""

    loaded: LoadedStudy
    frames: RunFrames
    cells: TrialTable
    invalid: Mapping[str, str]

    @property
    def doubts(self) -> str:
        """Which arms are invalid, and why. Empty if all arms count.

        An invalid baseline, and a reason that several arms share, are stated once.
        """
        baseline = self.loaded.baseline.name
        if baseline in self.invalid:
            name = self.loaded.label(baseline)
            subject = "the baseline" if name == "baseline" else f"the baseline {name}"
            return f"{subject} is invalid: {self.invalid[baseline]}"
        arms: dict[str, list[str]] = {}
        for arm, reason in self.invalid.items():
            arms.setdefault(reason, []).append(self.loaded.label(arm))
        return "; ".join(
            f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} invalid: {reason}"
            for reason, names in arms.items()
        )

    def doubts_about(self, arms: Iterable[Combination]) -> str:
        """The same for some of the arms."""
        names = dict.fromkeys(arm.name for arm in arms)
        return "; ".join(
            f"{self.loaded.label(name)} is invalid: {self.invalid[name]}"
            for name in names
            if name in self.invalid
        )

    def trials(self, arm: Combination, condition: Combination) -> dict[int, list[TrialRow]]:
        """The measured trials of each seed, one per round. Raises IncomparableError if one is missing and not
        lost.
        """
        cell = (arm.name, canonical_json(condition.names))
        trials: dict[int, list[TrialRow]] = {}
        for trial in self.frames.trials:
            measured = trial.purpose == "measure" and trial.status == "finished"
            if measured and (trial.arm, canonical_json(trial.condition)) == cell:
                trials.setdefault(trial.seed, []).append(trial)
        design = self.loaded.study.design
        expected = dict.fromkeys(range(design.seeds), design.rounds)
        for *where, _, seed in self.cells.without_value:
            expected[seed] -= tuple(where) == cell
        if {seed: len(rows) for seed, rows in trials.items()} != expected:
            raise IncomparableError(f"{arm.name} does not have one training per seed and round")
        return trials


@dataclass(frozen=True)
class Settlement(ABC, Generic[ClaimT]):
    """How a claim is settled. Every form of claim has a subclass, in the file that bears its name."""

    id: str
    claim: ClaimT
    evidence: Evidence
    alpha: float = ALPHA
    """The level at which the claim is tested within its family (`harness.analysis.claims.families`)."""

    @property
    @abstractmethod
    def claimed(self) -> str:
        """What is claimed, in a few words."""

    @abstractmethod
    def settle(self) -> SettledClaim:
        """The verdict on the claim if all its arms count. Raises IncomparableError if there can be none."""

    @property
    def loaded(self) -> LoadedStudy:
        return self.evidence.loaded

    @property
    def basis(self) -> Basis | None:
        """What the verdict is computed from; None for a claim that needs no statistics."""
        return None

    @property
    def level(self) -> float:
        """The level of the printed intervals. They agree with the verdict."""
        return 1 - self.alpha

    @property
    def level_text(self) -> str:
        return wording.level_text(self.level)

    @property
    def doubts(self) -> str:
        """Why the claim is invalid whatever its numbers are: by default, because any arm of the study is."""
        return self.evidence.doubts

    @property
    def unsettled(self) -> SettledClaim:
        """The claim without a verdict."""
        claim = self.claim
        return SettledClaim(id=self.id, source=claim.source, says=claim.says, claimed=self.claimed)

    def settled(self) -> SettledClaim:
        """The claim with its verdict, its numbers and the sentence that says so."""
        if self.doubts:
            return replace(self.unsettled, verdict="invalid", sentence=f"{self.doubts}.")
        try:
            settled = self.settle()
        except IncomparableError as problem:
            sentence = f"The data do not allow a comparison: {problem}."
            return replace(self.unsettled, verdict="invalid", claimed="–", sentence=sentence)
        return replace(settled, sentence=" ".join((settled.sentence, *self.declared_reasons)))

    @property
    def declared_reasons(self) -> tuple[str, ...]:
        """Sentences that say why a region or a margin is wider than usual."""
        reason = self.claim.region_reason
        return (f"The region is wider than usual: {reason}.",) if reason else ()

    @property
    def why_open(self) -> str:
        """Why there is no verdict whatever the values are: it was declared before the data, or too many
        rounds were disturbed.
        """
        if self.claim.exploratory is not None:
            return f"exploratory ({self.claim.exploratory}), so there is no verdict"
        if self.loaded.study.design.exploratory:
            return "exploratory, so there is no verdict"
        timed = any(metric(name).timed for name in self.claim.metrics(self.loaded.study.primary))
        return self.evidence.cells.open if timed else ""

    def exactly(self, verdict: ClaimVerdict, sentence: str) -> SettledClaim:
        """The verdict on a claim that needs no statistics, unless the claim is declared exploratory."""
        if self.claim.exploratory is not None:
            verdict, sentence = "undecided", f"{sentence}; {self.why_open}"
        return replace(self.unsettled, verdict=verdict, sentence=f"{sentence}.")
