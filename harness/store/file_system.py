"""The file system of a store: whether other machines may share it, and whether its locks exclude them.

A file system that is not known to be local counts as shared: that costs some speed and never data.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

_LOCAL = (
    *("apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "fuse.fuse-overlayfs"),
    *("hfsplus", "jfs", "nilfs2", "ntfs", "ntfs3", "overlay", "ramfs", "reiserfs", "rootfs", "tmpfs", "udf"),
    *("vfat", "xfs", "zfs"),
)


@dataclass(frozen=True, slots=True)
class FileSystem:
    """`kind` and `options` as the kernel names them, for example `nfs4` and `local_lock=none`."""

    kind: str
    options: frozenset[str] = frozenset()

    @property
    def is_local(self) -> bool:
        """Whether only this machine uses it."""
        return self.kind in _LOCAL

    @property
    def locks_reach_others(self) -> bool:
        """Whether `flock` excludes the processes of every machine that uses it."""
        if self.kind in ("nfs", "nfs4"):
            return not self.options & {"nolock", "local_lock=all", "local_lock=flock"}
        return self.is_local or self.kind == "ceph" or (self.kind == "lustre" and "flock" in self.options)


LOCAL = FileSystem("rootfs")
"""What is assumed on systems that do not list their mounts."""


def file_system(path: Path, mounts: Path | None = None) -> FileSystem:
    """The file system of a path, which need not exist. Links are followed. `mounts` is the kernel's list."""
    try:
        lines = (mounts or MOUNTS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return LOCAL
    target = Path(os.path.realpath(path))
    chosen, depth = LOCAL, -1
    for point, system in _mounts(lines):
        # A later mount at the same point hides an earlier one.
        if target.is_relative_to(point) and len(point.parts) >= depth:
            chosen, depth = system, len(point.parts)
    return chosen


def _mounts(lines: list[str]) -> Iterator[tuple[Path, FileSystem]]:
    """The mounts of lines like `36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw`."""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, (kind, _, special) = before.split(" "), after.split(" ", 2)
        options = frozenset((*fields[5].split(","), *special.split(",")))
        yield Path(_unescaped(fields[4])), FileSystem(kind, options)


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
