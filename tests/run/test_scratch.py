"""What trials leave in the folder of a driver is removed, whatever they made of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.run.scratch import remove_tree

NOBODY = 65534


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user can write in; others cannot enter the folders of the tests."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_folders_that_a_trial_made_read_only_are_removed(shared: Path) -> None:
    """As those of some caches of packages are. The superuser may remove them anyway, so here is another."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setresuid(NOBODY, NOBODY, NOBODY)
            outside, folder = shared / "outside", shared / "folder"
            (folder / "a" / "b").mkdir(parents=True)
            outside.mkdir()
            (folder / "a" / "link").symlink_to(outside)
            (folder / "a" / "b" / "file").write_text("")
            (folder / "a" / "b").chmod(0o000)
            (folder / "a").chmod(0o500)
            outside.chmod(0o500)
            remove_tree(folder)
            remove_tree(folder)
            status = int(folder.exists() or outside.stat().st_mode & 0o777 != 0o500)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
