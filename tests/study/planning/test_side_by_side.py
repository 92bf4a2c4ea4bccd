"""Which trials run side by side: those of which nothing that is compared depends on the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import StudyError
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import plan
from harness.study.planning.side_by_side import alone_because_of, runs_side_by_side, trials_at_once
from tests.support import program_study, tiny_study
from tests.support.tiny_study import tuned_study, writing_study

TUNED_SEEDS = ("  seeds: 7\n", "  seeds: 3\n  exploratory: true\n")
CLAIM = """\
claims:
  soon: {source: here, says: It is soon., level: {clip: 0.5}, reaches: 2.0, counted_in: seconds}
"""


def at_once(loaded: LoadedStudy, cores: int) -> dict[str, int]:
    return {batch.purpose: trials_at_once(loaded, batch, cores) for batch in plan(loaded).batches}


def test_a_study_of_losses_runs_side_by_side_on_all_cores(tmp_path: Path) -> None:
    loaded = tuned_study(tmp_path, TUNED_SEEDS)
    assert (alone_because_of(loaded), runs_side_by_side(loaded)) == ("", True)
    assert at_once(loaded, 8) == {"tune": 8, "measure": 8}
    assert at_once(loaded, 64) == {"tune": 12, "measure": 12}, "no more than there are trials"
    assert at_once(loaded, 1) == {"tune": 1, "measure": 1}


def test_a_study_of_times_runs_alone_but_for_the_trainings_of_its_models(tmp_path: Path) -> None:
    loaded = tiny_study.loaded(tmp_path, ("seeds: 1, rounds: 10", "seeds: 3, rounds: 10"))
    assert alone_because_of(loaded) == "decode_tokens_per_second"
    assert at_once(loaded, 8) == {"train": 3, "check": 1, "measure": 1}


@pytest.mark.parametrize(
    ("patch", "because"),
    [
        (("primary: validation_loss", "primary: peak_rss_bytes"), "peak_rss_bytes"),
        (("primary: validation_loss", "primary: update_seconds"), "update_seconds"),
        (("primary: validation_loss", "primary: validation_loss\nparity: {match: [seconds]}"), "seconds"),
    ],
)
def test_memory_of_a_process_times_and_equal_seconds_need_the_machine(
    tmp_path: Path, patch: tuple[str, str], because: str
) -> None:
    loaded = tuned_study(tmp_path, TUNED_SEEDS, patch)
    assert (alone_because_of(loaded), runs_side_by_side(loaded)) == (because, False)


def test_scores_of_text_run_side_by_side(tmp_path: Path) -> None:
    loaded = load_study(tiny_study.put(tmp_path, writing_study(prompts=40)))[0]
    assert runs_side_by_side(loaded)


def test_a_trial_of_several_ranks_takes_as_many_cores(tmp_path: Path) -> None:
    ranks = ("evaluate_every: 2\n", "evaluate_every: 2\n  parallel: {data: 2}\n")
    loaded = tuned_study(tmp_path, TUNED_SEEDS, ranks)
    assert at_once(loaded, 8) == {"tune": 4, "measure": 4}
    assert at_once(loaded, 2) == {"tune": 1, "measure": 1}


def test_a_study_can_forbid_it(tmp_path: Path) -> None:
    loaded = tuned_study(tmp_path, (TUNED_SEEDS[0], f"{TUNED_SEEDS[1]}  side_by_side: false\n"))
    assert at_once(loaded, 8) == {"tune": 1, "measure": 1}
    both = ("seeds: 1, rounds: 10", "seeds: 3, rounds: 10, side_by_side: false")
    assert at_once(tiny_study.loaded(tmp_path, both), 8) == {"train": 1, "check": 1, "measure": 1}


def test_a_study_of_times_cannot_demand_it(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="have no times, and decode tokens per second is compared") as error:
        tiny_study.loaded(tmp_path, ("rounds: 10", "rounds: 10, side_by_side: true"))
    line = tiny_study.STUDY.splitlines().index("design: {seeds: 1, rounds: 10}") + 1
    assert str(error.value.at).endswith(
        f"tiny.yaml:{line}:{len('design: {seeds: 1, rounds: 10, side_by_side: ') + 1}"
    )


def test_programs_of_the_user_run_alone_unless_their_study_says_otherwise(tmp_path: Path) -> None:
    assert not runs_side_by_side(program_study.loaded_program(tmp_path))
    chosen = program_study.loaded_program(tmp_path, ("seeds: 6", "seeds: 6, side_by_side: true"))
    assert runs_side_by_side(chosen)
