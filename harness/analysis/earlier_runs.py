"""What earlier runs said about the claims of a study, from the judgements in the store.

A run is a look at a claim if it judged other values than before: repeating a deterministic training shows
nothing new. Among the runs of a claim with the same code on the same machine, the first one that was complete
and valid, and for which the claim was declared in time, decides. Later ones are replications.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.analysis.frames import RunFrames
from harness.analysis.late_claims import claim_digests, late_claims, late_margins
from harness.analysis.standing import NO_STANDINGS, Standing, Standings
from harness.config import canonical_json, content
from harness.store.rows import Declaration, DeclaredClaim, JudgedClaim, Run
from harness.store.store import Store
from harness.study.claim_content import claim_content
from harness.study.claims.base import Claim
from harness.study.loaded import LoadedStudy
from harness.wording import count

HistoryEnd = tuple[int | None, int | None]
"""The last judgement and the last declaration that are read, or None for all of them."""

_PARTS = {
    "form": "statement",
    "statement": "statement",
    "needed": "statement",
    "arms": "settings of the arms",
    "against": "settings of the arms",
    "tune": "tuning",
    "levels": "conditions",
    "exploratory": "status (exploratory or not)",
}


@dataclass(frozen=True, kw_only=True)
class EarlierVerdict:
    """What an earlier judgement said about a claim, on this run or on another one.

    `differs` says in words what was different. `look` is False if the same values were judged before or are
    judged now. `decides` marks the run that decides the claim.
    """

    claim: str
    run: str
    date: str
    scale: str
    differs: tuple[str, ...]
    verdict: str
    effect: str
    interval: str
    late: bool
    look: bool
    decides: bool

    @property
    def sentence(self) -> str:
        """`2026-11-30, run 69b8-1 (scale cpu, other margin): refuted, 0.992 × (0.99 to 0.999 ×)`."""
        notes = [f"scale {self.scale}", *self.differs]
        notes += ["decides the claim"] if self.decides else []
        notes += [] if self.look else ["the same values"]
        verdict = f"{self.verdict}, declared after the data" if self.late else self.verdict
        figures = f", {self.effect} ({self.interval})" if self.effect != "–" else ""
        return f"{self.date[:10]}, run {self.run} ({', '.join(notes)}): {verdict}{figures}"


@dataclass(frozen=True, kw_only=True)
class History:
    """The earlier verdicts on the claims of a study by the id of the claim, in the order in which they were
    made. Claims that the study no longer states are among them: they are `dropped`.

    `standings` follow from it. `declaration` is the newest one of the study, and `declared_as_judged` says
    whether the study still declares the same. `until` holds the newest
    judgement and the newest declaration that were read. `digests` identify the claims of the study, and
    `values` the values on which each of them is judged.
    """

    earlier: Mapping[str, tuple[EarlierVerdict, ...]]
    standings: Standings = NO_STANDINGS
    dropped: tuple[str, ...] = ()
    declaration: Declaration | None = None
    until: tuple[int, int] = (0, 0)
    declared_as_judged: bool = False
    digests: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> Iterator[str]:
        """One line per claim that was judged before, with every verdict."""
        for claim, verdicts in self.earlier.items():
            yield f"{self._times(claim)}. {'; '.join(verdict.sentence for verdict in verdicts)}."

    @property
    def summaries(self) -> Iterator[str]:
        """The same with the names of the verdicts only."""
        for claim, verdicts in self.earlier.items():
            yield f"{self._times(claim)}: {', '.join(dict.fromkeys(one.verdict for one in verdicts))}"

    def _times(self, claim: str) -> str:
        verdicts = self.earlier[claim]
        looks = sum(verdict.look for verdict in verdicts)
        times = f"was judged {count(len(verdicts), 'time')} before, "
        times += f"on {count(looks, 'other set')} of values" if looks else "on the same values"
        stated = " and is no longer stated" if claim in self.dropped else ""
        return f"{claim} {times}{stated}"


NO_HISTORY = History(earlier={})


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """What a history is read for. `loaded` is the study before tuning; `digests` are those of its claims."""

    store: Store
    loaded: LoadedStudy
    run: Run
    runs: Mapping[str, Run]
    digests: Mapping[str, str]

    @property
    def decidable(self) -> dict[str, Claim]:
        """The claims whose verdict depends on when they were declared and on earlier runs."""
        if self.loaded.study.design.exploratory:
            return {}
        claims = self.loaded.study.claims.items()
        return {name: claim for name, claim in claims if not claim.exact and claim.exploratory is None}

    def deciding(self, rows: Iterable[JudgedClaim]) -> JudgedClaim | None:
        """The newest judgement of the run that decides a claim, given all judgements of the claim. None if
        that is this run.
        """
        comparable = [row for row in rows if self._is_comparable(self.runs[row.run_id])]
        decided = (row for row in comparable if row.complete and not row.late and row.alone != "invalid")
        first = next(decided, None)
        if first is None or first.run_id == self.run.id:
            return None
        return [row for row in comparable if row.run_id == first.run_id][-1]

    def seen_values(self, rows: Iterable[JudgedClaim], values: Mapping[str, str]) -> dict[str, DeclaredClaim]:
        """The claims on exactly the values that another run had given before the claim first appeared: a
        setting that changes no value makes no new data.
        """
        declared = self.store.declared_claims(self.digests.values())
        before: dict[str, DeclaredClaim] = {}
        for row in rows:
            first = declared.get(self.digests.get(row.claim, ""))
            same_draw = self.runs[row.run_id].draw == self.run.draw and row.run_id != self.run.id
            if first is None or not same_draw or row.values_digest != values.get(row.claim):
                continue
            begun = self.store.first_attempt(row.run_id)
            if row.values_digest and begun is not None and begun <= first.after_attempt:
                before[row.claim] = first
        return before

    def _is_comparable(self, other: Run) -> bool:
        return (other.code_digest, other.environment_digest, other.plant) == (
            self.run.code_digest,
            self.run.environment_digest,
            self.run.plant,
        )

    def differs(self, row: JudgedClaim, contents: Mapping[str, Mapping[str, object]]) -> tuple[str, ...]:
        """What was different when this judgement was made, in words."""
        other, words = self.runs[row.run_id], list[str]()
        if other.id == self.run.id:
            words.append("this run")
        if other.code_digest != self.run.code_digest:
            words.append("other code")
        if other.environment_digest != self.run.environment_digest:
            words.append("other machine")
        if other.draw != self.run.draw:
            words.append("other seeds")
        words += self._lengths(other)
        claim = self.loaded.study.claims.get(row.claim)
        before = contents.get(row.claim_digest or "")
        if claim is not None and before is not None:
            words += [f"other {part}" for part in _differences(before, claim_content(self.loaded, claim))]
        if row.claim_digest is None:
            words.append("older version")
        return tuple(words)

    def _lengths(self, other: Run) -> Iterator[str]:
        design = json.loads(other.study_json).get("design", {})
        for name in ("rounds", "seeds"):
            length = design.get(name)
            if isinstance(length, int) and length != getattr(self.loaded.study.design, name):
                yield count(length, name[:-1])


def read_history(
    store: Store, loaded: LoadedStudy, run: Run, frames: RunFrames, until: HistoryEnd = (None, None)
) -> History:
    """The history of a run's claims. `loaded` is the study before tuning, `frames` are the run's rows."""
    digests = claim_digests(loaded)
    runs = {known.id: known for known in store.runs()}
    judged = _Judged(store=store, loaded=loaded, run=run, runs=runs, digests=digests)
    rows = store.judgements(loaded.study.study, digests.values(), until=until[0])
    names = {digest: name for name, digest in digests.items()}
    rows = [replace(row, claim=names.get(row.claim_digest or "", row.claim)) for row in rows]
    contents = {
        key: declared.content
        for key, declared in store.declared_claims({row.claim_digest or "" for row in rows}).items()
    }
    values = values_digests(loaded, frames)
    late = judged.seen_values(rows, values) | late_claims(store, loaded, run)
    deciding = {
        name: judged.deciding([row for row in rows if row.claim_digest == digests[name]])
        for name in judged.decidable
    }
    earlier: dict[str, list[EarlierVerdict]] = {}
    seen: dict[str, set[str | None]] = {name: {digest} for name, digest in values.items()}
    shown = [row for row in rows if _is_shown(row, rows, judged)]
    for row in shown:
        decided = deciding.get(row.claim)
        values_before = seen.setdefault(row.claim, set())
        earlier.setdefault(row.claim, []).append(
            EarlierVerdict(
                claim=row.claim,
                run=row.run_id,
                date=row.judged_at,
                scale=runs[row.run_id].scale,
                differs=judged.differs(row, contents),
                verdict=row.verdict if row.late else row.alone,
                effect=row.effect,
                interval=row.interval,
                late=row.late,
                look=row.values_digest is None or row.values_digest not in values_before,
                decides=decided is not None and decided.id == row.id,
            )
        )
        values_before.add(row.values_digest)
    declarations = store.declarations(loaded.name, loaded.scale, until=until[1])
    return History(
        earlier={name: tuple(verdicts) for name, verdicts in earlier.items()},
        standings=Standings(
            claims={name: Standing(late=late.get(name), decided=deciding[name]) for name in judged.decidable},
            late_margins=late_margins(store, loaded, run),
        ),
        dropped=tuple(name for name in earlier if name not in digests),
        declaration=declarations[-1] if declarations else None,
        declared_as_judged=bool(declarations) and _states(declarations[-1], loaded),
        digests=digests,
        values=values,
        until=(
            max((row.id for row in shown), default=0),
            declarations[-1].id if declarations else 0,
        ),
    )


def _states(declaration: Declaration, loaded: LoadedStudy) -> bool:
    """Whether a declaration states this part of a study as it is now."""
    now = canonical_json(content(loaded.study))
    return any(canonical_json(part["study"]) == now for part in declaration.content["parts"])


def _is_shown(row: JudgedClaim, rows: Sequence[JudgedClaim], judged: _Judged) -> bool:
    """Whether a judgement belongs to the history: of another run, or of this one if the claim was another one
    or the verdict changed. Judgements at other scales belong to it if they decided something.
    """
    other = judged.runs[row.run_id]
    if other.plant != judged.run.plant:
        return False
    same_claim = row.claim_digest == judged.digests.get(row.claim)
    if other.id == judged.run.id and same_claim:
        later = (one for one in rows if one.id > row.id and one.run_id == row.run_id)
        changed = any(
            one.claim_digest == row.claim_digest and one.claim == row.claim and one.alone != row.alone
            for one in later
        )
        return changed and bool(row.complete)
    return same_claim or other.scale == judged.run.scale or row.alone in ("confirmed", "refuted")


def _differences(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """The parts of what a claim declares that differ, in words."""
    words = [word for key, word in _PARTS.items() if before.get(key) != now.get(key)]
    margins = [side.get("margins") for side in (before, now)]
    if margins[0] != margins[1]:
        names = [set(side) if isinstance(side, dict) else set() for side in margins]
        words.append("margin" if names[0] == names[1] else "metric")
    return list(dict.fromkeys(words))


def values_digests(loaded: LoadedStudy, frames: RunFrames) -> dict[str, str]:
    """The digest of the values on which each claim is judged, by the id of the claim; empty without
    values.
    """
    measured, digests = frames.measured, {}
    for name, claim in loaded.study.claims.items():
        arms = [arm.name for arm in claim.compared_arms(loaded.arms)]
        conditions = [canonical_json(c.names) for c in claim.compared_conditions(loaded.conditions)]
        chosen = measured[measured["arm"].isin(arms) & measured["condition"].isin(conditions)]
        parts = [np.empty(0)]
        for one in sorted(set(claim.metrics(loaded.study.primary))):
            curve, trials = frames.curve(one), chosen.loc[chosen["metric"] == one, "trial"]
            parts.append(curve.loc[curve["trial"].isin(trials), "value"].to_numpy(dtype=np.float64))
        values = np.sort(np.concatenate(parts))
        digests[name] = hashlib.sha256(values.tobytes()).hexdigest()[:16] if len(values) else ""
    return digests
