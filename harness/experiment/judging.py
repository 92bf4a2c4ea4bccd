"""The judgement of two versions: runs their study, again on new seeds if it must be confirmed, and says in
one word how B compares with A.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.analysis.results import Contrast, SettledClaim
from harness.errors import InputError
from harness.experiment.experiment import Experiment
from harness.experiment.judged_pair import CLAIM, FEWEST, MOST_ROUNDS, JudgedPair
from harness.experiment.loading import load
from harness.experiment.workspace import Workspace
from harness.report.inputs import ReportInput
from harness.run.driver import Listener
from harness.wording import count

FOLDER = "judge"
"""Where the studies and the builds of judged pairs are, in the folder of results."""

Word = Literal["better", "not better", "equivalent", "worse", "undecided", "invalid"]


@dataclass(frozen=True, kw_only=True)
class PairJudgement:
    """How B compares with A. `claim` has the effect and its interval, and `reason` is one sentence. `again`
    is what a second run on new seeds says alone, if one was asked for. `earlier` are earlier judgements of
    the same pair, and `moved` the controls that differ between the versions.
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
    pair: JudgedPair, *, workspace: Workspace, device: str, confirm: bool, listener: Listener | None = None
) -> PairJudgement:
    """Measure both versions, as far as that was not done before, and judge them.

    With `confirm`, what looks better is measured again on new seeds, and only what holds both times is
    better. A pair that was judged before is not measured again: its verdict stands. A question about
    measurements that are known already (with another margin, say) is answered by new ones.
    """
    workspace.check_writable()
    experiment = _experiment(pair, workspace, device, listener)
    experiment.run(listener=listener)
    parts = experiment.judge()
    if _claim(parts).late:
        experiment.run(fresh=True, listener=listener)
        parts = experiment.judge()
    again: SettledClaim | None = None
    if confirm and _claim(parts).verdict == "confirmed":
        if _claim(parts).alone is None:  # this run decides: there is none after it
            experiment.run(fresh=True, listener=listener)
            parts = experiment.judge()
        again = _claim(parts)
    return _judgement(parts, again, report=experiment.report())


def _experiment(pair: JudgedPair, workspace: Workspace, device: str, listener: Listener | None) -> Experiment:
    """The study of the pair, whose file stays. With a budget, a pilot says how many pairs it has."""
    file = workspace.results / FOLDER / f"{pair.name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)

    def loaded(path: Path, text: str) -> Experiment:
        path.write_text(text, encoding="utf-8")
        return load(path, scale="cpu", device=device, workspace=workspace, allow_commands=True)

    if pair.question.budget is None:
        return loaded(file, pair.study())
    if file.exists():
        return loaded(file, file.read_text(encoding="utf-8"))
    pilot = loaded(file.with_name(f"{pair.name}_pilot.yaml"), pair.pilot())
    pairs = pairs_within(pair.question.budget, pilot.run(listener=listener), fewest=FEWEST)
    most = pair.question.seeds or pair.question.rounds or MOST_ROUNDS
    return loaded(file, pair.study(min(pairs, most)))


def pairs_within(budget: float, pilot: Experiment, *, fewest: int) -> int:
    """How many pairs as that of the pilot fit into this time. Raises InputError if they are too few to decide
    anything.
    """
    with pilot.opened() as (store, runs):
        seconds = sum(row.seconds or 0.0 for run in runs for row in store.trials(run))
    pairs = int(budget / max(seconds, 1e-3))
    if pairs < fewest:
        raise InputError(
            f"a pair takes {seconds:.3g} s, so {budget:g} s are enough for {count(pairs, 'pair')}",
            hint=f"at least {fewest} are needed, which take {fewest * seconds:.0f} s",
        )
    return pairs


def _judgement(parts: Sequence[ReportInput], again: SettledClaim | None, report: Path) -> PairJudgement:
    judged, claim = parts[0], _claim(parts)
    contrast = _contrast(judged)
    moved = tuple(part.loaded.part for part in parts[1:] if _has_moved(part))
    verdict, reason = _verdict(claim, contrast, again, moved)
    return PairJudgement(
        verdict=verdict,
        reason=reason,
        claim=claim,
        margin=contrast.margin if contrast else 0.0,
        runs=tuple(part.run.id for part in parts),
        again=None if again is None else again.alone_verdict,
        moved=moved,
        earlier=tuple(judged.history.lines),
        warnings=tuple(warning for part in parts for warning in part.analysis.warnings),
        report=report,
    )


def _verdict(
    claim: SettledClaim, contrast: Contrast | None, again: SettledClaim | None, moved: Sequence[str]
) -> tuple[Word, str]:
    if claim.verdict == "invalid":
        return "invalid", claim.sentence
    if moved:
        names = ", ".join(moved)
        return "invalid", f"{names} differs between the versions, and the change cannot touch it"
    if claim.verdict == "undecided":
        return "undecided", claim.sentence
    if claim.verdict == "confirmed":
        if again is None or again.alone_verdict == "confirmed":
            return "better", claim.sentence
        if again.alone_verdict == "invalid":
            return "invalid", f"the second run is invalid: {again.sentence}"
        word: Word = "undecided" if again.alone_verdict == "undecided" else "not better"
        return word, f"it did not hold on new seeds. {again.sentence}"
    if contrast is None:
        return "not better", claim.sentence
    if contrast.verdict in ("equivalent", "identical"):
        return "equivalent", claim.sentence
    return ("worse" if contrast.verdict == "worse" else "not better"), claim.sentence


def _claim(parts: Sequence[ReportInput]) -> SettledClaim:
    return next(claim for claim in parts[0].analysis.claims if claim.id == CLAIM)


def _contrast(part: ReportInput) -> Contrast | None:
    primary = part.loaded.study.primary
    return next((one for one in part.analysis.contrasts if one.metric == primary), None)


def _has_moved(part: ReportInput) -> bool:
    """Whether a control shows a difference beyond the margin, or cannot be trusted."""
    contrast = _contrast(part)
    return contrast is None or contrast.verdict in ("better", "worse", "invalid")
