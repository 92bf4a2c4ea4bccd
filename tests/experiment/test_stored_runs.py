"""A run that is chosen by its id: its settings are known again, and its other parts are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.experiment.stored_runs import find_run, restored_run, runs_of_all_parts
from harness.run.given_settings import given_settings
from harness.store.rows import Identity, Run
from harness.store.store import Store, open_store
from tests.support.invented_runs import invent_run
from tests.support.program_study import put_program
from tests.support.stored_run import create, trial

SETTING = "design.seeds=8"


def part(store: Store, study: str, *, code: str = "c", source: str = "") -> Run:
    identity = Identity(study_digest=study, scale="cpu", code_digest=code, environment_digest="e")
    return store.create_run(
        identity, study=study, study_json="{}", study_source=source, environment={}, trials=[]
    )


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (("run", "mine", "--set", SETTING), (SETTING,)),
        (("run", "mine", f"--set={SETTING}"), (SETTING,)),
        (("script.py",), ()),
    ],
)
def test_the_settings_of_a_run_are_known_again_whoever_began_it(
    tmp_path: Path, words: tuple[str, ...], given: tuple[str, ...]
) -> None:
    study = put_program(tmp_path / "project")
    with open_store(tmp_path / "harness.db") as store:
        run = invent_run(store, study, SETTING, words=words)
        assert given_settings(store, run) == given
        restored = restored_run(store, run, str(study))
    assert restored.note == ""
    assert [one.settings for one in restored.parts] == [(SETTING,)]
    assert restored.parts[0].study.design.seeds == 8


def test_a_claim_that_was_changed_later_is_judged_as_the_file_says(tmp_path: Path) -> None:
    study = put_program(tmp_path / "project")
    with open_store(tmp_path / "harness.db") as store:
        run = invent_run(store, study)
        study.write_text(study.read_text().replace("It lowers the loss.", "It lowers it."))
        restored = restored_run(store, run, str(study))
    assert (restored.note, restored.parts[0].study.claims["lower"].says) == ("", "It lowers it.")


def test_the_other_parts_are_those_of_the_same_command(tmp_path: Path) -> None:
    with open_store(tmp_path / "harness.db") as store:
        speed, memory = part(store, "pair/speed"), part(store, "pair/memory")
        part(store, "pair/memory", code="d")
        part(store, "pair/memory", source="changed")
        part(store, "other/memory")
        again = [part(store, "pair/speed"), part(store, "pair/memory")]
        assert [run.id for run in runs_of_all_parts(store, memory)] == [speed.id, memory.id]
        assert [run.id for run in runs_of_all_parts(store, again[0])] == [run.id for run in again]


def test_an_id_that_no_run_has_is_refused(tmp_path: Path) -> None:
    study = put_program(tmp_path / "project")
    with open_store(tmp_path / "harness.db") as store:
        assert find_run(store, invent_run(store, study).id).study == "mine"
        with pytest.raises(InputError, match="no run and no trial 'search'"):
            find_run(store, "search")


def test_the_points_of_a_search_are_no_comparison_and_the_command_for_them_is_named(tmp_path: Path) -> None:
    points = trial().model_copy(update={"purpose": "search"})
    with open_store(tmp_path / "harness.db") as store:
        run = create(store, study="mine/search", trials=[points])
        with pytest.raises(InputError, match="points of a search of mine; `harness search mine` shows it"):
            restored_run(store, run)
