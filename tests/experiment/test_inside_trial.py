"""How far a running trial is, in words."""

from __future__ import annotations

from harness.experiment.inside_trial import reached
from harness.trial.outcome import Sample


def text(config: dict[str, object], *samples: Sample) -> str:
    return str(reached(config, samples))


def test_the_loss_says_how_far_a_training_is_whatever_came_after_it() -> None:
    samples = Sample("loss", 1198, 2.5), Sample("loss", 1199, 2.3456), Sample("update_seconds", 1199, 0.1)
    assert text({"updates": 4000}, *samples) == "update 1,200 of 4,000, loss 2.35"
    assert text({}, *samples) == "update 1,200, loss 2.35"


def test_without_a_loss_the_newest_value_says_it() -> None:
    samples = Sample("decode_seconds", 0, 0.5), Sample("cache_bytes", 2, 1024.0)
    assert text({"updates": 9}, *samples) == "value 3 of cache_bytes: 1,024 B"


def test_nothing_is_known_before_the_first_sample() -> None:
    assert reached({}, ()) is None
