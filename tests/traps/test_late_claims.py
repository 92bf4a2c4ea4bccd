"""Who was fooled: those who chose the claim, the margin or the run after they had seen the values."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from harness.analysis.claims.decision import Basis
from harness.analysis.results import SettledClaim
from harness.config import canonical_json
from harness.experiment import Experiment
from harness.machine.environment import environment
from harness.report.claims_ledger import read_ledger
from harness.run.driver import Driver
from harness.run.identity import Setting, newest_run
from harness.run.programme import StudyProgramme
from harness.store.rows import Run
from harness.store.store import open_store
from harness.study.loaded import LoadedStudy
from harness.verify.verify import verify
from tests.end_to_end.in_process import Notes, Scripted, obedient
from tests.support.tiny_study import LOSS, loaded, spoilt
from tests.traps.invented import STUDY, Invented, invented, slightly_better

__all__ = ["invented"]

MARGIN = ("primary:", "margins: {time: 0.1}\nprimary:")
INVARIANT = ("[cache-parity, cache-bytes]", "[cache-parity, cache-bytes, padding-parity]")


def drive(study: LoadedStudy, folder: Path, *, fresh: bool = False) -> tuple[Run, list[tuple[str, str]]]:
    """The run, and the purpose and the task of every trial that had to run."""
    backend = Scripted(obedient)
    setting = Setting(results=folder, environment=environment(), code="c0de", corpora=(), fresh=fresh)
    with open_store(folder / "harness.db") as store:
        run = Driver(StudyProgramme(study), setting, store=store, backend=backend, listener=Notes()).run()
        assert newest_run(store, study, setting).id == run.id
    return run, [(job.spec.purpose, job.spec.task) for job in backend.jobs]


def test_a_margin_runs_nothing_and_an_invariant_runs_its_checks(tmp_path: Path) -> None:
    first, jobs = drive(loaded(tmp_path), tmp_path)
    assert len(jobs) > 90
    assert drive(loaded(tmp_path, MARGIN), tmp_path) == (first, [])
    again, added = drive(loaded(tmp_path, INVARIANT), tmp_path)
    assert again.id == first.id
    assert added == [("check", "padding-parity")] * 3


def test_a_fresh_run_of_timings_measures_the_same_model_again(tmp_path: Path) -> None:
    study = loaded(tmp_path)
    _, jobs = drive(study, tmp_path)
    fresh, again = drive(study, tmp_path, fresh=True)
    assert (fresh.draw, fresh.training_draw) == (2, 1)
    assert [job for job in jobs if job[0] != "train"] == again
    assert ("train", "train") in jobs


def better(experiment: Experiment) -> SettledClaim:
    return next(claim for claim in experiment.analysis().claims if claim.id == "better")


def test_a_margin_that_was_chosen_after_the_data_decides_nothing(invented: Invented) -> None:
    """Trap 1: the effect lies within the declared margin of 1 %, so a smaller one is set and judged."""
    first = invented.run()
    assert (better(first).verdict, better(first).late) == ("refuted", False)
    jobs = len(invented.jobs)
    again = invented.run("margins.loss=0.004")
    assert len(invented.jobs) == jobs, "the same samples are judged"
    late = better(again)
    assert (late.verdict, late.alone, late.late) == ("undecided", "confirmed", True)
    assert late.sentence.startswith("Declared after the data")
    assert late.basis is not None
    assert Basis.read(late.basis).verdict == "undecided"
    contrast = next(c for c in again.analysis().contrasts if c.metric == "validation_loss")
    assert (contrast.verdict, contrast.reason) == ("undecided", "the margin was declared after the data")
    assert "better" not in again.analysis().answer
    [earlier] = again.history().to_dict("records")
    assert (earlier["verdict"], earlier["look"]) == ("refuted", False)
    assert earlier["differs"] == ("this run", "other margin")
    page = again.report().read_text(encoding="utf-8")
    assert "better was judged 1 time before" in page
    assert verify(again.report(), again.workspace.location).difference is None
    fresh = invented.run("margins.loss=0.004", fresh=True)
    assert (better(fresh).verdict, better(fresh).late) == ("confirmed", False)
    assert [row["verdict"] for row in fresh.history().to_dict("records")] == ["refuted", "undecided"]
    assert verify(fresh.report(), fresh.workspace.location).difference is None


def test_fresh_runs_until_one_confirms(invented: Invented) -> None:
    """Trap 19: the first whole run decides; later ones are counted and stand beside it."""
    invented.value = lambda spec: (
        2.0 + 0.1 * spec.seed + random.Random(f"{spec.generator}{spec.arm}").random()
    )
    first = invented.run()
    decided = better(first).verdict
    invented.value = slightly_better
    for times in (1, 2):
        again = invented.run("margins.loss=0.01", fresh=True)
        settled = better(again)
        assert (settled.verdict, settled.alone) == (decided, "refuted")
        assert "is a replication" in settled.sentence
        history = again.history()
        assert len(history) == times
        assert history["decides"].tolist() == [True, *[False] * (times - 1)]
        assert history["look"].all()
    seeds = {job.spec.generator for job in invented.jobs}
    assert len(seeds) == 18
    assert set(range(6)) < seeds


@pytest.mark.parametrize(
    "change",
    ["design.seeds=8", "design.order_seed=3", "base.evaluate_every=2", "question=Other?"],
)
def test_another_design_does_not_overturn_the_run_that_decided(invented: Invented, change: str) -> None:
    invented.run()
    invented.value = lambda spec: slightly_better(spec) * (0.9 if spec.arm == "clip=0.5" else 1.0)
    settled = better(invented.run(change))
    assert settled.verdict == "refuted"
    assert settled.alone in (None, "confirmed")


@pytest.mark.parametrize(
    "settings",
    [
        ("claims.better.direction=worse",),
        ("claims.better.metric=loss",),
        ("primary=loss",),
        ("margins.loss=0.02",),
        ("design.exploratory=true", "design.seeds=6"),
    ],
)
def test_whatever_a_claim_states_is_late_after_the_data(
    invented: Invented, settings: tuple[str, ...]
) -> None:
    invented.run()
    settled = better(invented.run(*settings))
    assert settled.verdict == "undecided"
    assert settled.late is ("exploratory" not in settings[0])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("says: It is better.", "says: It is much better."),
        ("source: x", "source: y"),
        ("Does clipping help?", "Does it?"),
        (
            "primary: validation_loss",
            "primary: validation_loss\nmargins: {time: 0.1}\nparity: {differ: [flops]}",
        ),
        ("  better: {", "  renamed: {"),
    ],
)
def test_words_never_make_a_claim_late(invented: Invented, old: str, new: str) -> None:
    invented.run()
    invented.text = spoilt(STUDY, old, new)
    settled = invented.run().analysis().claims
    assert [(claim.verdict, claim.late) for claim in settled] == [("refuted", False)]


def test_a_renamed_arm_in_a_renamed_study_hides_no_data(invented: Invented) -> None:
    """The trials get other ids and run again, but they repeat values that were in the store."""
    invented.run()
    invented.text = STUDY.replace("study: tiny", "study: other")
    invented.text = invented.text.replace("clip: [1.0, 0.5]", "clip: [1.0, {ours: {clip: 0.5}}]")
    invented.text = invented.text.replace("level: {clip: 0.5}", "level: {clip: ours}")
    settled = better(invented.run("margins.loss=0.004"))
    assert (settled.verdict, settled.late) == ("undecided", True)


@pytest.mark.parametrize(("metric", "late"), [("validation_loss", True), ("update_seconds", False)])
def test_whoever_knows_one_side_of_a_timed_comparison_does_not_know_the_other(
    invented: Invented, metric: str, *, late: bool
) -> None:
    """Another study has measured the baseline. A training repeats its result, lucky or not; a time is
    measured anew.
    """
    invented.metrics = (LOSS, "loss", "update_seconds")
    invented.text = STUDY.replace("study: tiny", "study: other").replace("0.5", "0.25")
    invented.run()
    invented.text = STUDY.replace("direction: better", f"direction: better, metric: {metric}")
    first = better(invented.run("margins.loss=0.004", "margins.time=0.004"))
    assert (first.late, first.alone_verdict) == (late, "confirmed")
    invented.text = invented.text.replace("study: tiny", "study: third")
    third = better(invented.run("margins.loss=0.003", "margins.time=0.003"))
    assert third.late, "now both sides have been measured"


def test_a_setting_that_changes_no_value_makes_no_new_data(invented: Invented) -> None:
    """The settings of the arms differ, so the trials run again, but every value is the same."""
    invented.run()
    settled = better(invented.run("margins.loss=0.004", "base.evaluate_every=1"))
    assert (settled.verdict, settled.late) == ("undecided", True)
    fresh = better(invented.run("margins.loss=0.004", "base.evaluate_every=1", fresh=True))
    assert (fresh.verdict, fresh.late) == ("confirmed", False)


def test_a_claim_is_in_time_while_trials_have_only_begun(invented: Invented) -> None:
    invented.broken = lambda _spec: True
    invented.run()
    invented.broken = lambda _spec: False
    settled = better(invented.run("margins.loss=0.004", retry_failed=True))
    assert (settled.verdict, settled.late) == ("confirmed", False)


def test_new_code_decides_about_itself_and_names_the_earlier_run(invented: Invented) -> None:
    invented.run()
    invented.code = "other"
    invented.value = lambda spec: slightly_better(spec) * (0.9 if spec.arm == "clip=0.5" else 1.0)
    again = invented.run()
    assert better(again).verdict == "confirmed"
    assert again.history()["differs"].tolist() == [("other code",)]


def test_a_claim_that_was_dropped_is_still_named(invented: Invented) -> None:
    invented.run()
    invented.text = STUDY[: STUDY.index("claims:")]
    again = invented.run()
    assert again.history()["verdict"].tolist() == ["refuted"]
    assert "is no longer stated" in again.report().read_text(encoding="utf-8")


def test_a_declaration_is_shown_with_what_was_known_then(invented: Invented) -> None:
    experiment = invented.experiment()
    made = experiment.declare()
    content = canonical_json(made.declaration.content)
    assert hashlib.sha256(content.encode()).hexdigest() == made.declaration.digest
    assert (made.with_data, list(made.claims)) == (False, ["better"])
    page = invented.run().report().read_text(encoding="utf-8")
    assert f"before its data ({made.declaration.digest})" in page
    changed = invented.run("margins.loss=0.004")
    assert "before its data, and changed since then" in changed.report().read_text(encoding="utf-8")
    assert invented.experiment().declare().with_data
    page = invented.run().report().read_text(encoding="utf-8")
    assert "after 12 measurements of this run" in page


def test_the_ledger_names_every_earlier_verdict(invented: Invented) -> None:
    invented.run()
    invented.run(fresh=True)
    with open_store(invented.folder / "harness.db") as store:
        [entry] = read_ledger(store).claims
    assert (entry.verdict, entry.judged, len(entry.earlier)) == ("refuted", 2, 1)
    assert "refuted" in entry.earlier[0]


def test_a_run_that_nobody_judged_still_decides(invented: Invented) -> None:
    """Whoever reads the samples and starts again must not get rid of them."""
    invented.experiment().run()
    invented.value = lambda spec: slightly_better(spec) * (0.9 if spec.arm == "clip=0.5" else 1.0)
    settled = better(invented.run(fresh=True))
    assert (settled.verdict, settled.alone) == ("refuted", "confirmed")


def test_an_incomplete_run_decides_nothing(invented: Invented) -> None:
    invented.broken = lambda spec: spec.seed == 3
    invented.run()
    invented.broken = lambda _spec: False
    settled = better(invented.run(fresh=True))
    assert (settled.verdict, settled.alone) == ("refuted", None)


def test_a_claim_that_was_decided_cannot_be_made_exploratory_unseen(invented: Invented) -> None:
    invented.run()
    invented.text = spoilt(STUDY, "direction: better}", "direction: better, exploratory: too small}")
    again = invented.run()
    assert better(again).verdict == "undecided"
    assert again.history()["verdict"].tolist() == ["refuted"]
    assert again.history()["differs"].tolist() == [("this run", "other status (exploratory or not)")]
