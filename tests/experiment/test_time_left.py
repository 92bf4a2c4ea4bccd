"""The time that is left: a range that is narrow if trials of a kind take equally long."""

from __future__ import annotations

import pytest

from harness.experiment.inside_trial import LastValue
from harness.experiment.time_left import Current, TimeLeft, TimeRange, current_trial, kind_of
from harness.run.resources import guessed_seconds
from harness.trial.spec import TrialSpec
from tests.tasks.tiny_recipes import RECIPE


def spec(seed: int = 0, arm: str = "a") -> TrialSpec:
    return TrialSpec(
        purpose="measure", task="train", arm=arm, condition={}, seed=seed, round=1, config=RECIPE
    )


def left(*seconds: float, arms: str, running: float = 0.0, expected: float | None = None) -> TimeRange:
    """After trials of the arm `a` have taken so long, a trial for each letter of `arms` is left."""
    time = TimeLeft()
    time.expect("", [spec(number, arm) for number, arm in enumerate(arms)])
    for one in seconds:
        time.learn(kind_of("", spec(arm="a")), one)
    answer = time.seconds_left(Current(kind_of("", spec(arm=arms[0])), running, expected))
    assert answer
    return answer


def test_equal_trials_leave_no_doubt() -> None:
    assert left(10.0, 10.0, 10.0, arms="aaaa") == (40.0, 40.0)
    assert left(10.0, 10.0, 10.0, arms="aaaa", running=4.0) == (36.0, 36.0)


def test_scatter_widens_the_range_and_more_trials_narrow_it() -> None:
    few, many = left(9.0, 11.0, arms="aaaa"), left(*[9.0, 11.0] * 20, arms="aaaa")
    assert sum(few) == pytest.approx(80.0) == sum(many)
    assert few.high - few.low > 1.5 * (many.high - many.low) > 0


def test_one_trial_is_not_taken_for_certain() -> None:
    low, high = left(10.0, arms="a")
    assert (low < 8.0, high > 12.0) == (True, True)


def test_operation_counts_say_it_before_any_trial_and_are_corrected_by_those_that_ended() -> None:
    guess = guessed_seconds(spec())
    assert left(arms="b") == pytest.approx((guess / 3, guess * 3))
    time = TimeLeft()
    time.expect("", [spec(arm="a"), spec(arm="b")])
    time.learn(kind_of("", spec(arm="a")), 7 * guess)
    time.done("", spec(arm="a"))
    assert time.seconds_left() == pytest.approx((7 * guess / 1.5, 7 * guess * 1.5))


def test_the_first_trial_of_a_kind_says_how_long_it_takes_as_soon_as_it_says_how_far_it_is() -> None:
    low, high = left(arms="bbb", running=20.0, expected=80.0)
    assert low < 2 * 80.0 + 60.0 < high < 2.5 * (2 * 80.0 + 60.0)


def test_a_trial_that_takes_longer_than_expected_takes_nothing_from_the_others() -> None:
    assert left(10.0, 10.0, 10.0, arms="aaa", running=25.0) == (20.0, 20.0)


def test_how_far_a_trial_is_says_how_long_it_takes() -> None:
    kind = kind_of("", spec())
    assert current_trial(kind, 20.0, LastValue("loss", 99, 1.0, 400)) == Current(kind, 20.0, 80.0)
    assert current_trial(kind, 20.0, LastValue("loss", 99, 1.0, None)) == Current(kind, 20.0, None)
    assert current_trial(kind, 20.0, None) == Current(kind, 20.0, None)


def test_trials_that_ended_are_not_counted_again() -> None:
    time = TimeLeft()
    time.expect("1", [spec(0)])
    time.expect("2", [spec(0)], unknown=1)
    time.learn(kind_of("1", spec()), 5.0)
    time.learn(kind_of("2", spec()), 5.0)
    for part in ("1", "2"):
        time.done(part, spec())
    assert time.seconds_left()
    time.done("2", spec(arm="another"))
    assert time.seconds_left() is None


def test_trials_of_another_version_of_the_code_take_as_long_as_the_others() -> None:
    time, strange = TimeLeft(), spec(arm="b").model_copy(update={"config": {"strange": 1}})
    time.expect("", [strange])
    assert time.seconds_left() is None
    time.learn(kind_of("", spec()), 10.0)
    time.learn(kind_of("", spec()), 10.0)
    assert time.seconds_left() == (10.0, 10.0)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (40.2, 40.4, "40 to 41 s left"),
        (40.0, 40.0, "about 40 s left"),
        (700.0, 920.0, "11 to 16 min left"),
        (20.0, 80.0, "20 to 80 s left"),
        (0.0, 100.0, "at most 2 min left"),
        (3.9 * 3600, 5.2 * 3600, "3.9 to 5.2 h left"),
        (0.0, 0.2, "at most 1 s left"),
    ],
)
def test_a_range_is_written_with_as_many_digits_as_it_is_worth(low: float, high: float, text: str) -> None:
    assert str(TimeRange(low, high)) == text


def test_trials_that_run_side_by_side_take_their_share_of_the_time() -> None:
    time = TimeLeft()
    time.expect("", [spec(number) for number in range(8)], at_once={"measure": 4})
    guess = guessed_seconds(spec())
    assert time.seconds_left() == pytest.approx((8 * guess / 4 / 3, 8 * guess / 4 * 3))
    for _ in range(3):
        time.learn(kind_of("", spec()), 10.0)
    assert time.seconds_left() == pytest.approx((20.0, 20.0))
