"""Which run belongs to a study: what both measure decides, whichever version of the code stored the run."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.machine.environment import environment
from harness.run.identity import DIGEST_PREFIX, Setting, _second_digest, identity, newest_run
from harness.store.store import open_store
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import plan
from harness.trial.spec import first_id
from tests.support.clock import JUMPS, set_clock
from tests.support.tiny_study import loaded

Stored = Callable[[Path, int], tuple[LoadedStudy, Setting]]


def stored(folder: Path, study: LoadedStudy) -> Setting:
    """A database with a run of the study that has not begun."""
    setting = Setting(results=folder, environment=environment(), code="some code", corpora=("text",))
    with open_store(str(folder / "harness.db")) as store:
        store.create_run(
            identity(study, setting),
            study=study.study.study,
            study_json=study.study.model_dump_json(),
            study_source=study.source,
            environment=setting.environment.model_dump(mode="json"),
            trials=plan(study).trials,
        )
    return setting


def as_an_older_version_wrote_it(database: Path, study: LoadedStudy, version: int) -> None:
    """The digest of the second version covers claims and margins. Ids and digests of the first version have
    no version and are made of every setting.
    """
    connection = sqlite3.connect(database)
    if version == 1:
        for row, text in connection.execute("select id, spec_json from trials").fetchall():
            connection.execute("update trials set spec_id = ? where id = ?", (first_id(text), row))
    older = "0123456789abcdef" if version == 1 else _second_digest(study, ("text",))
    connection.execute("update runs set study_digest = ?", (older,))
    connection.commit()
    connection.close()


@pytest.fixture(scope="module")
def as_stored(
    tmp_path_factory: pytest.TempPathFactory,
) -> Stored:
    """Puts a database with a run that a version of the code has stored into a folder. Each is made once."""
    study = loaded(tmp_path_factory.mktemp("study"))
    folders = {version: tmp_path_factory.mktemp(f"version_{version}") for version in (1, 2, 3)}
    for version, folder in folders.items():
        setting = stored(folder, study)
        if version < 3:
            as_an_older_version_wrote_it(folder / "harness.db", study, version)

    def copied(folder: Path, version: int) -> tuple[LoadedStudy, Setting]:
        shutil.copy(folders[version] / "harness.db", folder)
        return study, replace(setting, results=folder)

    return copied


JUDGING = [
    ("ratio: 2.0", "ratio: 2.5"),
    ("faster?", "slower?"),
    ("It is twice as fast.", "Twice."),
    ("primary: decode_tokens_per_second", "primary: tokens_per_second"),
    ("primary:", "margins: {time: 0.1}\nparity: {differ: [flops]}\nprimary:"),
    ("rounds: 10}", "rounds: 10, exploratory: true}"),
    ("  same: {source: here, says: Nothing changes., holds: cache-parity}\n", ""),
    ("[cache-parity, cache-bytes]", "[cache-parity, cache-bytes, padding-parity]"),
]
MEASURING = [
    ("rounds: 10}", "rounds: 11}"),
    ("seeds: 1", "seeds: 2"),
    ("rounds: 10}", "rounds: 10, order_seed: 1}"),
    ("rounds: 10}", "rounds: 20, until: {width: 0.1}}"),
    ("new_tokens: 8\n", "new_tokens: 8\n  units: 5\n"),
    ("[none, dynamic, static]", "[none, dynamic]"),
]


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("change", [(), *([change] for change in JUDGING)])
def test_a_run_of_each_version_belongs_to_its_study_however_it_is_judged(
    as_stored: Stored, tmp_path: Path, *, version: int, change: list[tuple[str, str]]
) -> None:
    before, setting = as_stored(tmp_path, version)
    study = loaded(tmp_path, *change)
    with open_store(str(tmp_path / "harness.db")) as store:
        run = newest_run(store, study, setting)
        assert run.study_digest.startswith(DIGEST_PREFIX) is (version == 3)
        assert [trial.spec_id for trial in store.planned(run)] == [spec.id for spec in plan(before).trials]
        assert all(json.loads(trial.spec_json)["config"] for trial in store.planned(run))
    assert (identity(study, setting) == run.identity) is (version == 3)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("change", MEASURING)
def test_a_run_of_a_study_that_measures_something_else_does_not(
    as_stored: Stored, tmp_path: Path, *, version: int, change: tuple[str, str]
) -> None:
    before, setting = as_stored(tmp_path, version)
    other = loaded(tmp_path, change)
    assert identity(other, setting).study_digest != identity(before, setting).study_digest
    with (
        open_store(str(tmp_path / "harness.db")) as store,
        pytest.raises(StoreError, match="was changed after"),
    ):
        newest_run(store, other, setting)


@pytest.mark.parametrize("version", [2, 3])
def test_a_run_on_other_texts_does_not(as_stored: Stored, tmp_path: Path, *, version: int) -> None:
    study, setting = as_stored(tmp_path, version)
    with (
        open_store(str(tmp_path / "harness.db")) as store,
        pytest.raises(StoreError, match="was changed after"),
    ):
        newest_run(store, study, replace(setting, corpora=("another text",)))


@pytest.mark.parametrize("days", JUMPS)
def test_the_newest_run_is_the_one_that_was_created_last_whatever_the_clock_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    study = loaded(tmp_path)
    for clock in (days, -days):
        set_clock(monkeypatch, clock)
        setting = stored(tmp_path, study)
    with open_store(str(tmp_path / "harness.db")) as store:
        first, second = store.runs()
        assert (first.created_at > second.created_at) is (days > 0)
        assert newest_run(store, study, setting) == second
