"""Trials that were timed too soon are told of, where there are more than a machine's hiccups."""

from __future__ import annotations

from harness.analysis.analyse import analyse
from tests.analysis.planted import Planted, spoil_trials, study

SOUND = Planted()


def warnings(unsteady: set[int], primary: str | None = None) -> tuple[str, ...]:
    """Of 90 trials, those of these rounds were not steady."""
    frames = spoil_trials(SOUND.frames(), lambda _: True, notes={"steady": True})
    frames = spoil_trials(frames, lambda trial: trial.round in unsteady, notes={"steady": False})
    loaded = study(primary=primary, claims={}) if primary else SOUND.loaded
    return analyse(loaded, frames).warnings


def test_many_are_told_with_what_to_do() -> None:
    (told,) = warnings({1, 2})
    assert told.startswith("18 of 90 trials were timed before their units agreed with one another")
    assert "warm_up.at_most" in told


def test_one_round_in_ten_is_a_hiccup_and_trials_that_say_nothing_are_not_asked() -> None:
    assert warnings({1}) == warnings(set()) == SOUND.analysis().warnings == ()


def test_what_is_not_timed_needs_no_warm_up() -> None:
    assert warnings(set(range(1, 11)), primary="cache_bytes") == ()
