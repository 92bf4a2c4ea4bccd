"""Where studies are found, where their trials run, and where their results go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError, did_you_mean
from harness.paths import expanded, is_file, is_read_only, nearest
from harness.run.backends.settings import BackendSettings, LocalSettings
from harness.store.engine import parse_location
from harness.study.shipped import OWN_STUDIES, SHIPPED, studies_in

DATABASE = "harness.db"


def find_study(name: str, folder: Path = OWN_STUDIES) -> Path:
    """The file of a study: `name` itself if it is a file, else `studies/NAME.yaml`, else the study of this
    name that ships with the harness.

    Raises InputError, with a suggestion, if there is none.
    """
    path = expanded(name)
    if is_file(path):
        return path
    in_folder = folder / f"{name}.yaml"
    if path.suffix not in (".yaml", ".yml"):
        for file in (in_folder, SHIPPED / f"{name}.yaml"):
            if is_file(file):
                return file
    raise InputError(
        f"there is no study {name!r}: neither this file nor {in_folder} exists, and none of this name ships "
        "with the harness",
        hint=did_you_mean(path.stem, {**studies_in(folder), **studies_in(SHIPPED)})
        or "`harness list` shows the studies",
    )


@dataclass(frozen=True, init=False)
class Workspace:
    """The folders of results, checkpoints and reports, the store, and the backend that runs trials.

    `store` is a database file or a URL. By default it is `harness.db` in the folder of results.
    """

    results: Path
    reports: Path
    store: str | None
    backend: BackendSettings

    def __init__(
        self,
        *,
        results: str | Path = "results",
        reports: str | Path = "reports",
        store: str | Path | None = None,
        backend: BackendSettings | None = None,
    ) -> None:
        """`~` is the home of the user. Raises InputError if this home is unknown."""
        object.__setattr__(self, "results", expanded(results))
        object.__setattr__(self, "reports", expanded(reports))
        object.__setattr__(self, "store", None if store is None else str(store))
        object.__setattr__(self, "backend", LocalSettings() if backend is None else backend)

    @property
    def location(self) -> str:
        return self.store or str(self.results / DATABASE)

    def has_store(self) -> bool:
        """Whether there is a database file. For a URL of a server it is True, because only the server knows.

        Raises StoreError if the URL is wrong.
        """
        url = parse_location(self.location)
        return url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()

    def check_exists(self, hint: str = "give the store with --results or --store") -> None:
        """Raises InputError if there is no store, and StoreError if the URL is wrong."""
        if not self.has_store():
            raise InputError(f"there are no results at {self.location}", hint=hint)

    def check_writable(self) -> None:
        """Raises InputError or StoreError if results or reports could not be written. Nothing is created."""
        parse_location(self.location)
        for folder in (self.results, self.reports):
            existing = nearest(folder)
            if not existing.is_dir():
                raise InputError(
                    f"cannot write in {folder}: {existing} is not a folder", hint="choose another folder"
                )
            if is_read_only(existing):
                raise InputError(
                    f"cannot write in {folder}: its file system is read-only",
                    hint="choose another folder, or mount the file system so that it can be written",
                )
            if not os.access(existing, os.W_OK | os.X_OK):
                raise InputError(
                    f"cannot write in {folder}: permission denied",
                    hint="choose another folder or change its permissions",
                )
