"""Files and folders that may not be written.

Root may write anywhere, so the store is used by a process of nobody's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store.store import open_store
from tests.support.real_disk import mounted

NOBODY = 65534

PROGRAM = f"""
import os, sys
from pathlib import Path
from harness.errors import StoreError
from harness.store.rows import Identity
from harness.store.store import open_store

folder = Path(sys.argv[1])
open_store(folder / "first.db").close()  # imports what nobody may not be able to read
if os.geteuid() == 0:
    os.setuid({NOBODY})

def create(store):
    identity = Identity(study_digest="s", scale="cpu", code_digest="c", environment_digest="e")
    return store.create_run(identity, study="s", study_json="", study_source="", environment={{}}, trials=[])

def refused(step):
    try:
        step()
    except StoreError as error:
        print(str(error).removeprefix(str(folder)))

path = folder / "harness.db"
with open_store(path) as store:
    run = create(store)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of nobody's; pytest's own may not be entered by others."""
    folder = Path(tempfile.mkdtemp(prefix="store-permissions-"))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, -1)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def said(folder: Path, steps: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM + steps, str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def test_a_read_only_database_can_be_read_but_not_written(folder: Path) -> None:
    steps = """
path.chmod(0o444)
with open_store(path) as store:
    print(store.runs() == [run])
    refused(lambda: create(store))
    print(store.runs() == [run])
"""
    refusal = "/harness.db: the database is read-only; check the permissions of the file and its folder"
    assert said(folder, steps) == ["True", refusal, "True"]


def test_a_run_cannot_be_driven_where_no_lock_can_be_made(folder: Path) -> None:
    steps = """
folder.chmod(0o555)
with open_store(path) as store:
    refused(lambda: store.open_session(run, {}))
"""
    refusal = (
        "/harness.db: cannot create a lock file beside the database (Permission denied); "
        "check the permissions of its folder"
    )
    assert said(folder, steps) == [refusal]


def test_a_folder_that_may_not_be_written_or_entered_is_refused(folder: Path) -> None:
    steps = """
(folder / "closed").mkdir(mode=0o555)
refused(lambda: open_store(folder / "closed" / "new.db"))
refused(lambda: open_store(folder / "closed" / "deeper" / "new.db"))
(folder / "closed").chmod(0o000)
refused(lambda: open_store(folder / "closed" / "new.db"))
(folder / "closed").chmod(0o755)
print(list((folder / "closed").iterdir()))
"""
    denied = "Permission denied); choose another file with --store"
    check = "check that its folder exists and that you may write to both"
    assert said(folder, steps) == [
        f"/closed/new.db: the database cannot be opened; {check}",
        f"/closed/deeper/new.db: cannot create its folder ({denied}",
        f"/closed/new.db: cannot access the path ({denied}",
        "[]",
    ]


def test_a_read_only_file_system_is_named(tmp_path: Path) -> None:
    """Root is refused as well. Permissions would be no help, so nobody is sent to look at them."""
    with mounted(tmp_path / "disk", "size=4m") as disk:
        open_store(disk / "old.db").close()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for name in ("new.db", "old.db"):
            with pytest.raises(StoreError) as caught, open_store(disk / name) as store:
                store.record_study("kv_cache", "", "{}")
            assert str(caught.value).startswith(
                f"{disk / name}: the file system of the database is read-only; "
            )
