"""Which file system a path is on, and what its locks are worth, from lists of mounts as Linux writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.store import file_system as module
from harness.store.file_system import FileSystem, file_system

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
23 22 0:5 / /proc rw,nosuid shared:2 - proc proc rw
24 22 0:40 / /home rw,relatime shared:3 - nfs4 server:/home rw,vers=4.2,hard,local_lock=none,addr=10.0.0.1
25 24 0:41 / /home/old rw,relatime shared:4 - nfs server:/old rw,vers=3,nolock,local_lock=all,addr=10.0.0.1
26 24 0:42 / /home/me/my\040disk rw,relatime shared:5 - xfs /dev/sdb rw
27 22 0:43 / /scratch rw,relatime - lustre 10.0.0.2@tcp:/scratch rw,flock,lazystatfs
28 22 0:44 / /local_flock rw,relatime - lustre 10.0.0.2@tcp:/scratch rw,localflock
29 22 0:45 / /mnt/laptop rw,nosuid - fuse.sshfs me@laptop: rw,user_id=0
30 22 0:46 / /twice rw - ext4 /dev/sdc rw
31 30 0:47 / /twice rw - cifs //server/share rw,vers=3.1.1
32 22 0:48 / /ceph rw - ceph 10.0.0.3:/ rw,acl
""".lstrip()


@pytest.fixture(autouse=True)
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list_of_mounts = tmp_path / "mountinfo"
    list_of_mounts.write_text(MOUNTS)
    monkeypatch.setattr(module, "MOUNTS", list_of_mounts)


@pytest.mark.parametrize(
    ("path", "kind", "local", "locks"),
    [
        ("/var/results/harness.db", "ext4", True, True),
        ("/home/me/results/harness.db", "nfs4", False, True),
        ("/home/older/harness.db", "nfs4", False, True),
        ("/home/old/harness.db", "nfs", False, False),
        ("/home/me/my disk/harness.db", "xfs", True, True),
        ("/scratch/harness.db", "lustre", False, True),
        ("/local_flock/harness.db", "lustre", False, False),
        ("/mnt/laptop/harness.db", "fuse.sshfs", False, False),
        ("/twice/harness.db", "cifs", False, False),
        ("/ceph/harness.db", "ceph", False, True),
    ],
)
def test_the_nearest_mount_decides(path: str, kind: str, *, local: bool, locks: bool) -> None:
    chosen = file_system(Path(path))
    assert (chosen.kind, chosen.is_local, chosen.locks_reach_others) == (kind, local, locks)


def test_a_link_leads_to_the_file_system_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to("/scratch/results")
    assert file_system(tmp_path / "results" / "harness.db").kind == "lustre"


@pytest.mark.parametrize("kind", ["9p", "afs", "beegfs", "gpfs", "smb3", "fuse.glusterfs", "never-heard-of"])
def test_whatever_is_not_known_to_be_local_counts_as_shared(kind: str) -> None:
    assert not FileSystem(kind).is_local
    assert not FileSystem(kind).locks_reach_others


def test_without_a_list_of_mounts_everything_is_local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOUNTS", tmp_path / "none")
    assert file_system(tmp_path).is_local


def test_this_machine_lists_its_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert file_system(Path("/proc/self")).kind == "proc"
