"""Energy becomes samples of a trial with a note of its source, or a note of why it is not known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from harness.metrics import ENERGY_METRICS
from harness.telemetry.energy import BY_COUNTER, BY_RAPL
from harness.trial.energy import ENERGY, Watched, with_energy
from harness.trial.outcome import TIMED, Outcome, Sample
from tests.support.telemetry import samples_at

BEGAN = 5000.0
"""The telemetry began at this second of the monotonic clock."""

LOSS = Sample("loss", 0, 3.0)
OUTCOME = Outcome(
    status="finished",
    samples=(LOSS,),
    notes={"steady": True, TIMED: {"begin": BEGAN + 2.0, "end": BEGAN + 6.0, "tokens": 800}},
)
WATCHED = Watched(
    samples=samples_at(
        [number / 10 for number in range(101)],
        gpu_energy_j=lambda t: 200 * t,
        cpu_energy_j=lambda t: 50 * t,
    ),
    began=BEGAN,
    gpu_reason=None,
    cpu_reason=None,
)


def values(outcome: Outcome) -> dict[str, float]:
    return {sample.metric: sample.value for sample in outcome.samples if sample != LOSS}


def test_the_energy_of_the_trial_and_of_its_work_per_token() -> None:
    outcome = with_energy(OUTCOME, WATCHED)
    assert next(iter(outcome.samples)) == LOSS
    assert len(outcome.samples) == 5
    assert LOSS in outcome.samples
    assert Sample("cpu_energy_joules", 0, 500.0) in outcome.samples
    assert Sample("loss", 1, 3.0) not in outcome.samples
    assert values(outcome) == pytest.approx(
        {
            "gpu_energy_joules": 2000.0,
            "gpu_joules_per_token": 1.0,
            "cpu_energy_joules": 500.0,
            "cpu_joules_per_token": 0.25,
        }
    )
    assert set(values(outcome)) == set(ENERGY_METRICS)
    assert {sample.step for sample in outcome.samples} == {0}
    assert outcome.notes == {
        "steady": True,
        TIMED: {"begin": 2.0, "end": 6.0, "tokens": 800},
        ENERGY: {
            "gpu_energy_joules": BY_COUNTER,
            "gpu_joules_per_token": BY_COUNTER,
            "cpu_energy_joules": BY_RAPL,
            "cpu_joules_per_token": BY_RAPL,
        },
    }


def test_an_energy_that_is_not_known_is_no_sample() -> None:
    blind = replace(
        WATCHED,
        samples=samples_at([number / 10 for number in range(101)]),
        gpu_reason="NVML did not answer within 5 s",
        cpu_reason="only root may read it",
    )
    outcome = with_energy(OUTCOME, blind)
    assert outcome.samples == (LOSS,)
    assert set(outcome.notes[ENERGY].values()) == {"NVML did not answer within 5 s", "only root may read it"}


@pytest.mark.parametrize(
    "note",
    [
        None,
        "soon",
        [1, 2, 3],
        {"begin": BEGAN, "end": BEGAN + 6.0},
        {"begin": BEGAN, "end": BEGAN + 6.0, "tokens": 0},
        {"begin": BEGAN, "end": BEGAN + 6.0, "tokens": -5},
        {"begin": BEGAN, "end": math.nan, "tokens": 5},
        {"begin": None, "end": "later", "tokens": "many"},
        {"begin": 10**400, "end": 10**401, "tokens": 5},
    ],
)
def test_a_note_that_says_no_time_and_no_tokens_gives_no_energy_per_token(note: Any) -> None:
    """A trial may note anything."""
    outcome = with_energy(replace(OUTCOME, notes={TIMED: note}), WATCHED)
    assert set(values(outcome)) == {"gpu_energy_joules", "cpu_energy_joules"}
    assert set(outcome.notes) == {ENERGY}


@pytest.mark.parametrize(("begin", "end"), [(6.0, 2.0), (-9.0, 4.0), (2.0, 4000.0), (-1e308, 1e308)])
def test_a_time_outside_of_the_trial_gives_no_energy_per_token(begin: float, end: float) -> None:
    note = {"begin": BEGAN + begin, "end": BEGAN + end, "tokens": 5}
    outcome = with_energy(replace(OUTCOME, notes={TIMED: note}), WATCHED)
    assert set(values(outcome)) == {"gpu_energy_joules", "cpu_energy_joules"}


@pytest.mark.parametrize(
    "outcome",
    [
        replace(OUTCOME, status="failed"),
        replace(OUTCOME, status="lost"),
        replace(OUTCOME, notes={**OUTCOME.notes, "diverged": True}),
    ],
    ids=["failed", "lost", "diverged"],
)
def test_work_that_was_not_done_to_its_end_has_no_energy(outcome: Outcome) -> None:
    """It used less than the full work, and less must not look better."""
    assert with_energy(outcome, WATCHED) == outcome


def test_a_trial_that_nobody_watched_is_as_it_was() -> None:
    assert with_energy(OUTCOME, replace(WATCHED, samples=())) == OUTCOME
