"""Which run belongs to a study: the content of both decides, whichever version of the code stored the run."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.machine.environment import environment
from harness.run.identity import DIGEST_PREFIX, Setting, identity, newest_run
from harness.store.store import open_store
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import plan
from harness.trial.spec import first_id
from tests.support.tiny_study import loaded


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


def as_the_first_version_wrote_it(database: Path) -> None:
    """Ids and digests without a version, made of every setting."""
    connection = sqlite3.connect(database)
    for row, text in connection.execute("select id, spec_json from trials").fetchall():
        connection.execute("update trials set spec_id = ? where id = ?", (first_id(text), row))
    connection.execute("update runs set study_digest = '0123456789abcdef'")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("old", [False, True])
def test_a_run_of_either_version_belongs_to_its_study(tmp_path: Path, *, old: bool) -> None:
    study = loaded(tmp_path)
    setting = stored(tmp_path, study)
    if old:
        as_the_first_version_wrote_it(tmp_path / "harness.db")
    with open_store(str(tmp_path / "harness.db")) as store:
        run = newest_run(store, study, setting)
        assert run.study_digest.startswith(DIGEST_PREFIX) is not old
        assert [trial.spec_id for trial in store.planned(run)] == [spec.id for spec in plan(study).trials]
        assert all(json.loads(trial.spec_json)["config"] for trial in store.planned(run))


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        ("ratio: 2.0", "ratio: 2.5"),
        ("rounds: 10}", "rounds: 11}"),
        ("new_tokens: 8\n", "new_tokens: 8\n  units: 3\n"),
    ],
)
def test_a_run_of_another_study_does_not(
    tmp_path: Path,
    *,
    old: bool,
    change: tuple[str, str],
) -> None:
    setting = stored(tmp_path, loaded(tmp_path))
    if old:
        as_the_first_version_wrote_it(tmp_path / "harness.db")
    other = loaded(tmp_path, change)
    with (
        open_store(str(tmp_path / "harness.db")) as store,
        pytest.raises(StoreError, match="was changed after"),
    ):
        newest_run(store, other, setting)
