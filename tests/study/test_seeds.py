"""The seeds of fresh runs: others in every draw, and paired by the same index."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.study.planning.plan import plan
from harness.study.seeds import FIRST_TUNING_SEED, MOST_SEEDS, generator_seed, outcome_is_training
from tests.support.tiny_study import loaded, tuned_study


@given(study=st.text(), draws=st.lists(st.integers(2, 1000), min_size=2, max_size=2, unique=True))
def test_draws_share_no_seed_with_each_other_with_the_first_or_with_tuning(
    study: str, draws: list[int]
) -> None:
    one, other = ({generator_seed(study, draw, index) for index in (0, MOST_SEEDS - 1)} for draw in draws)
    assert not one & other
    assert all(seed is not None and FIRST_TUNING_SEED + MOST_SEEDS < seed < 2**31 for seed in one | other)
    assert generator_seed(study, 1, 7) is None


def test_a_fresh_run_pairs_by_the_index_and_draws_other_numbers(tmp_path: Path) -> None:
    study = loaded(tmp_path)
    first, second = plan(study), plan(study.drawn(2, 1))
    assert [(t.arm, t.seed, t.round) for r in first.rounds for t in r] == [
        (t.arm, t.seed, t.round) for r in second.rounds for t in r
    ]
    assert {t.generator for r in first.rounds for t in r} == {0}
    assert {t.id for r in first.rounds for t in r}.isdisjoint(t.id for r in second.rounds for t in r)
    assert second.trainings == first.trainings
    assert plan(study.drawn(2, 2)).trainings != first.trainings


def test_the_id_of_a_trial_of_a_first_run_knows_nothing_of_draws(tmp_path: Path) -> None:
    spec = plan(loaded(tmp_path)).rounds[0][0]
    assert "generator_seed" not in spec.model_dump_json()
    assert type(spec).model_validate_json(spec.model_dump_json()).id == spec.id


@pytest.mark.parametrize(("metric", "shared"), [("tokens_per_second", False), ("peak_rss_bytes", False)])
def test_timings_and_memory_reuse_trained_models(tmp_path: Path, metric: str, *, shared: bool) -> None:
    study = loaded(tmp_path, ("primary: decode_tokens_per_second", f"primary: {metric}"))
    assert outcome_is_training(study) is shared


def test_what_a_training_is_worth_needs_a_new_one(tmp_path: Path) -> None:
    assert outcome_is_training(tuned_study(tmp_path))
