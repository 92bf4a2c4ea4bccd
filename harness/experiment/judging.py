"""The judgement of two versions: runs their study, again on new seeds if it must be confirmed, and says in
one word how B compares with A.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.analysis.results import Contrast, SettledClaim
from harness.errors import InputError, StudyError
from harness.experiment.experiment import Experiment
from harness.experiment.judged_pair import CLAIM, DEFAULT_ROUNDS, FEWEST, MOST_ROUNDS, JudgedPair
from harness.experiment.loading import load
from harness.experiment.workspace import Workspace
from harness.report.inputs import ReportInput
from harness.run.listener import Listener
from harness.wording import count

FOLDER = "judge"
"""Where the studies and the builds of judged pairs are, in the folder of results."""

Word = Literal["better", "not better", "equivalent", "worse", "undecided", "invalid"]


@dataclass(frozen=True, kw_only=True)
class PairJudgement:
    """How B compares with A. `claim` has the effect and its interval, and `reason` is one sentence. `again`
    is what a measurement on new seeds says alone, if there was one after the measurement that decides.
    `earlier` are earlier judgements of the same pair, and `moved` the controls that differ between the
    versions.
    """

    verdict: Word
    reason: str
    claim: SettledClaim
    margin: float
    runs: tuple[str, ...]
    again: str | None = None
    moved: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    report: Path | None = None


def judge(
    pair: JudgedPair,
    *,
    workspace: Workspace,
    device: str,
    confirm: bool,
    retry_failed: bool = False,
    listener: Listener | None = None,
) -> PairJudgement:
    """Measure both versions, as far as that was not done before, and judge them.

    With `confirm`, what looks better is measured again on new seeds, and only what holds both times is
    better. A pair that was judged before is not measured again: its verdict stands. A question about
    measurements that are known already (with another margin, say) is answered by new ones. With
    `retry_failed`, trials that failed run again, with their own seeds.
    """
    workspace.check_writable()
    experiment = _experiment(pair, workspace, device, listener)
    experiment.run(retry_failed=retry_failed, listener=listener)
    parts = experiment.judge()
    if _claim(parts).late:
        experiment.run(fresh=True, listener=listener)
        parts = experiment.judge()
    claim = _claim(parts)
    if confirm and claim.verdict == "confirmed" and claim.alone is None:  # no run after it is known
        experiment.run(fresh=True, listener=listener)
        parts = experiment.judge()
    return _judgement(parts, report=experiment.report())


def _experiment(pair: JudgedPair, workspace: Workspace, device: str, listener: Listener | None) -> Experiment:
    """The study of the question, whose file stays. With a budget, a pilot says how many pairs it has."""
    file = workspace.results / FOLDER / f"{pair.name}_{pair.asked}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)

    def loaded(path: Path, text: str) -> Experiment:
        path.write_text(text, encoding="utf-8")
        try:
            experiment = load(path, scale="cpu", device=device, workspace=workspace, allow_commands=True)
        except StudyError as error:  # nobody wrote this file
            path.unlink()
            raise InputError(error.message, hint=error.hint) from None
        experiment.new_seeds = True
        return experiment

    budget = pair.question.budget
    if budget is None:
        return loaded(file, pair.study())
    if file.exists():
        return loaded(file, file.read_text(encoding="utf-8"))
    pilot = loaded(file.with_name(f"{file.stem}_pilot.yaml"), pair.pilot())
    pairs = pairs_within(budget, pilot.run(listener=listener), fewest=FEWEST, control_rounds=DEFAULT_ROUNDS)
    most = pair.question.seeds or pair.question.rounds or MOST_ROUNDS
    return loaded(file, pair.study(min(pairs, most)))


def pairs_within(budget: float, pilot: Experiment, *, fewest: int, control_rounds: int = 0) -> int:
    """How many pairs as that of the pilot fit into this time, beside so many rounds of its controls (the
    other parts). Raises InputError if they are too few to decide anything.
    """
    with pilot.opened() as (store, runs):
        of_pair, *of_controls = [sum(row.seconds or 0.0 for row in store.trials(run)) for run in runs]
    for_controls = control_rounds * sum(of_controls)
    pairs = max(0, int((budget - for_controls) / max(of_pair, 1e-3)))
    if pairs < fewest:
        needed = fewest * of_pair + for_controls
        raise InputError(
            f"a pair takes {of_pair:.3g} s, so {budget:g} s are enough for {count(pairs, 'pair')}",
            hint=f"at least {fewest} are needed, which take {math.ceil(needed)} s",
        )
    return pairs


def _judgement(parts: Sequence[ReportInput], report: Path) -> PairJudgement:
    judged, claim = parts[0], _claim(parts)
    contrast = _contrast(judged)
    problems = {part.loaded.part: _control_problem(part) for part in parts[1:]}
    moved = {name: problem for name, problem in problems.items() if problem}
    verdict, reason = verdict_of(claim, contrast, moved)
    return PairJudgement(
        verdict=verdict,
        reason=reason,
        claim=claim,
        margin=contrast.margin if contrast else 0.0,
        runs=tuple(part.run.id for part in parts),
        again=claim.alone,
        moved=tuple(moved),
        earlier=tuple(judged.history.lines),
        warnings=tuple(warning for part in parts for warning in part.analysis.warnings),
        report=report,
    )


def verdict_of(claim: SettledClaim, contrast: Contrast | None, moved: Mapping[str, str]) -> tuple[Word, str]:
    if claim.verdict == "invalid":
        return "invalid", claim.sentence
    if moved:
        return "invalid", "; ".join(f"{name} {problem}" for name, problem in moved.items())
    if claim.verdict == "undecided":
        return "undecided", claim.sentence
    if claim.verdict == "confirmed":
        if claim.alone_verdict == "confirmed":
            return "better", claim.sentence
        word: Word = "undecided" if claim.alone == "undecided" else "not better"
        return word, f"it did not hold on new seeds. {claim.sentence}"
    if contrast is not None and contrast.verdict in ("equivalent", "identical"):
        return "equivalent", claim.sentence
    if contrast is not None and contrast.verdict == "worse":
        return "worse", claim.sentence
    return "not better", claim.sentence


def _claim(parts: Sequence[ReportInput]) -> SettledClaim:
    return next(claim for claim in parts[0].analysis.claims if claim.id == CLAIM)


def _contrast(part: ReportInput) -> Contrast | None:
    primary = part.loaded.study.primary
    return next((one for one in part.analysis.contrasts if one.metric == primary), None)


def _control_problem(part: ReportInput) -> str:
    """Why a control makes the judgement invalid: it differs between the versions, or it was not measured."""
    contrast = _contrast(part)
    if contrast is None or contrast.verdict == "invalid":
        reasons = "; ".join(part.analysis.invalid.values()) or "it has too few values"
        return f"could not be measured in both versions: {reasons}"
    if contrast.verdict in ("better", "worse"):
        return "differs between the versions, and the change cannot touch it"
    return ""
