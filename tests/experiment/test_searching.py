"""A search from Python: what its proof measures, and what begins a new search."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import pytest
from optuna.storages import InMemoryStorage

import harness
from harness.errors import StoreError, StudyError, TrialError
from harness.experiment.searching import SearchExperiment
from harness.machine.code_digest import code_digests
from harness.run.job import Job
from harness.search.findings import SearchFindings
from harness.study.seeds import FIRST_SEARCH_SEED, MOST_SEEDS
from harness.trial.outcome import Outcome, Sample
from tests.end_to_end.in_process import Notes, Scripted
from tests.end_to_end.workplace import Workplace
from tests.search.scene import Decide, make_sessions_quick
from tests.support.searched_study import (
    POINTS,
    SEARCHED,
    crashed,
    ended_at,
    loss_of,
    trained,
)
from tests.support.tiny_study import LOSS, patched

CODE_DIGESTS = cache(code_digests)


@pytest.fixture
def here(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """Optuna's tables are in memory, and the code is read once for all searches."""
    tables = InMemoryStorage()
    make_sessions_quick(monkeypatch)
    monkeypatch.setattr("harness.search.storage.opened_storage", lambda _: nullcontext(tables))
    monkeypatch.setattr("harness.experiment.experiment.code_digests", CODE_DIGESTS)
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setenv("HARNESS_CACHE", str(workplace.cache))
    return workplace


@pytest.fixture
def searched(here: Workplace, monkeypatch: pytest.MonkeyPatch) -> Searched:
    return Searched(here, monkeypatch)


class Searched:
    """Searches of the tiny study, whose trials end as `decide` says."""

    def __init__(self, workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
        self._workplace = workplace
        self.backend, self.notes, self.decide = Scripted(trained), Notes(), trained
        monkeypatch.setattr("harness.run.backends.local.LocalBackend", self._machinery)

    @contextmanager
    def _machinery(self, **_: Any) -> Iterator[Scripted]:
        yield self.backend

    def __call__(
        self, trials: int | None = None, *patches: tuple[str, str], decide: Decide = trained, **declared: Any
    ) -> SearchExperiment:
        self._workplace.study.write_text(patched(SEARCHED, *patches))
        self.backend, self.notes = Scripted(decide), Notes()
        return harness.load("tiny").search(trials=trials, listener=self.notes, **declared)

    def jobs(self, purpose: str) -> list[Job]:
        """The trials of the last search."""
        return [job for job in self.backend.jobs if job.spec.purpose == purpose]


def findings_of(search: SearchExperiment) -> SearchFindings:
    """With the earlier proofs, which only the proof knows."""
    [judged] = search.proof.findings()
    assert judged.search is not None
    return judged.search


def seeds_of(jobs: list[Job]) -> set[int]:
    return {job.spec.generator for job in jobs}


def by_rate(job: Job) -> Outcome:
    """The higher the rate, the better, in the search and in its proof."""
    loss = 3.0 - 0.2 * math.log10(job.spec.config["optimizer"]["lr"] / 1e-3)
    return ended_at(loss + 1e-4 * (job.spec.generator % 7), job)


def test_the_proof_compares_the_best_point_with_the_first_one_on_other_seeds(searched: Searched) -> None:
    search = searched(5)
    asked, measured = searched.jobs("search"), searched.jobs("measure")
    configs = {job.spec.arm: job.spec.config for job in measured}
    best = min(asked[1:], key=lambda job: loss_of(job.spec.config))
    assert configs == {"point=baseline": asked[0].spec.config, "point=best": best.spec.config}
    assert [job.spec.seed for job in measured if job.spec.arm == "point=best"] == list(range(7))
    assert seeds_of(asked) == {FIRST_SEARCH_SEED}
    assert len(seeds_of(measured)) == 7
    assert min(seeds_of(measured)) > FIRST_SEARCH_SEED + MOST_SEEDS, "nor those of tuning or of a first draw"
    [verdict] = search.verdicts().to_dict("records")
    expected = "confirmed" if loss_of(best.spec.config) < 0.99 * loss_of(asked[0].spec.config) else "refuted"
    assert (verdict["id"], verdict["verdict"], verdict["n"]) == ("proof", expected, 7)


def test_the_same_winner_continues_its_proof_and_another_one_has_other_seeds(searched: Searched) -> None:
    first = searched(3, decide=by_rate)
    winner, seeds = findings_of(first).best["best"], seeds_of(searched.jobs("measure"))
    first.proof.judge()
    searched(3, decide=by_rate)
    assert searched.backend.jobs == []
    again = searched(12, decide=by_rate)
    assert findings_of(again).best["best"] != winner
    measured = searched.jobs("measure")
    assert len(measured) == 14
    assert seeds_of(measured).isdisjoint(seeds)
    assert seeds_of(measured).isdisjoint(range(FIRST_SEARCH_SEED + MOST_SEEDS))
    [earlier] = findings_of(again).earlier_proofs
    assert earlier.verdicts == {"proof": "confirmed"}


def test_a_proof_that_was_broken_off_keeps_its_seeds(searched: Searched) -> None:
    broken = 0

    def breaking(job: Job) -> Outcome:
        nonlocal broken
        if job.spec.purpose == "measure" and job.spec.seed == 3:
            broken += 1
            raise KeyboardInterrupt
        return trained(job)

    with pytest.raises(KeyboardInterrupt):
        searched(4, decide=breaking)
    begun = seeds_of(searched.jobs("measure"))
    searched(4)
    measured = searched.jobs("measure")
    assert searched.jobs("search") == []
    assert seeds_of(measured) | begun == {min(begun) + seed for seed in range(7)}
    assert {job.spec.seed for job in measured} == {3, 4, 5, 6}


@pytest.mark.parametrize(
    ("prove", "verdict"),
    [({"at_most": 0.95}, "confirmed"), ({"at_most": 0.2}, "refuted"), ({"no_difference": True}, "refuted")],
)
def test_the_proof_can_be_any_claim(searched: Searched, prove: dict[str, Any], verdict: str) -> None:
    def decide(job: Job) -> Outcome:
        """Everything but the first point is better by a third."""
        first = job.spec.config["optimizer"]["lr"] == 1e-3
        return ended_at((3.0 if first else 2.0) + 0.001 * (job.spec.generator % 7), job)

    search = searched(3, decide=decide, prove=prove)
    assert search.verdicts()["verdict"].tolist() == [verdict]


@pytest.mark.parametrize(
    ("prove", "message"),
    [
        (
            "{at_most: little}",
            "studies/tiny.yaml:25:3: claims.proof.at_most: expected a number, found 'little'",
        ),
        (
            "{direction: better, metric: bleu}",
            "studies/tiny.yaml:25:3: task 'train' does not produce the metric 'bleu'",
        ),
    ],
)
def test_a_claim_that_cannot_be_proven_is_refused_before_anything_runs(
    searched: Searched, here: Workplace, prove: str, message: str
) -> None:
    with pytest.raises(StudyError) as refused:
        searched(3, (POINTS, f"{POINTS}  prove: {prove}\n"))
    assert str(refused.value).startswith(message)
    assert refused.value.exit_code == 2
    assert not (here.folder / "results").exists()


def both(job: Job) -> Outcome:
    """A high rate is good for one objective and bad for the other one."""
    rate, noise = job.spec.config["optimizer"]["lr"], 1e-4 * (job.spec.generator % 7)
    ended = ended_at(3.0 - rate + noise, job)
    return Outcome(
        status="finished",
        samples=(*ended.samples, Sample("bits_per_byte", 3, 3.0 + rate + noise)),
        outputs=ended.outputs,
        spent=ended.spent,
    )


def test_of_several_objectives_each_finalist_is_proven_on_each(searched: Searched) -> None:
    two = f"{POINTS}  objective: [validation_loss, bits_per_byte]\n  finalists: 2\n"
    search = searched(6, (POINTS, two), decide=both)
    assert list(findings_of(search).best) == ["best_1", "best_2"]
    arms = {job.spec.arm for job in searched.jobs("measure")}
    assert arms == {"point=baseline", "point=best_1", "point=best_2"}
    names = itertools.product(("best_1", "best_2"), ("validation_loss", "bits_per_byte"))
    assert search.verdicts()["id"].tolist() == [f"proof-{point}-{metric}" for point, metric in names]
    assert set(search.verdicts()["verdict"]) <= {"confirmed", "refuted", "undecided"}


OTHER_SEARCHES = ((POINTS, f"{POINTS}  objective: bits_per_byte\n"), ("lr: 1e-3}", "lr: 2e-3}"))


def test_another_search_begins_anew_and_says_so(searched: Searched) -> None:
    runs = {findings_of(searched(2, decide=both)).run.id}
    for patch in OTHER_SEARCHES:
        search = searched(2, patch, decide=both)
        [note] = searched.notes.notes
        assert re.fullmatch(
            r"the space, the objective or the sampler changed since the last search "
            r"\(\d{4}-\d\d-\d\d\), so a new search begins",
            note,
        )
        assert len(searched.jobs("search")) == 2
        runs.add(findings_of(search).run.id)
    assert len(runs) == 1 + len(OTHER_SEARCHES)
    searched(2, decide=both)
    assert (searched.notes.notes, searched.jobs("search")) == ([], []), "the first one is still there"


def test_what_does_not_change_the_points_continues_a_search(searched: Searched) -> None:
    before = searched(3)
    more = """\
  points: 9
  timeout: 1e6
  prove: {at_most: 0.9}
  finalists: 2
  enqueue: [{optimizer.lr: 1e-4, schedule.warmup: 3}]
"""
    after = searched(3, (POINTS, more))
    assert (searched.notes.notes, searched.jobs("search")) == ([], [])
    assert after.findings().run.id == before.findings().run.id


def test_what_a_search_has_from_python(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.report.build.write_report", lambda _, path: path.touch())
    search = searched(4, space={"optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True}}, seeds=3)
    points = search.points()
    assert list(points.columns) == ["point", "state", "optimizer.lr", LOSS, "seconds", "reason"]
    assert points["point"].tolist() == [0, 1, 2, 3]
    assert points["optimizer.lr"].tolist()[0] == 1e-3
    medians = [sorted(point.values[LOSS])[1] for point in search.findings().points]
    assert points[LOSS].tolist() == medians
    with search.optuna_study() as study:
        assert [trial.value for trial in study.trials] == medians
        assert study.best_params == {
            "optimizer.lr": points["optimizer.lr"].tolist()[medians.index(min(medians))]
        }
    assert search.report().name == "tiny.search.html"


def test_a_search_that_has_not_begun_names_the_command(searched: Searched, here: Workplace) -> None:
    searched(2)
    here.study.write_text(patched(SEARCHED, ("random: 2", "random: 3")))
    with pytest.raises(StoreError) as refused:
        harness.load("tiny").searching().points()
    assert str(refused.value) == (
        "there is no search of tiny in its present form; harness search studies/tiny.yaml --scale cpu"
    )


def test_a_search_without_a_point_to_prove_says_why(searched: Searched) -> None:
    def decide(job: Job) -> Outcome:
        return trained(job) if job.spec.config["optimizer"]["lr"] == 1e-3 else crashed(job)

    with pytest.raises(TrialError) as ended:
        searched(3, decide=decide)
    assert (
        str(ended.value) == "no point of the search has a value that could be proven; the last one: trouble"
    )
    assert searched.jobs("measure") == []


def test_a_space_from_python_that_is_wrong_is_named_as_it_was_given(searched: Searched) -> None:
    with pytest.raises(StudyError) as refused:
        searched(3, space={"optimizer.lrr": {"low": 1e-4, "high": 1e-1}})
    assert str(refused.value) == (
        "search(space=…): unknown key 'lrr' in optimizer (with optimizer.lrr=0.0001); did you mean 'lr'?"
    )
