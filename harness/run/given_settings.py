"""The settings of `--set` with which a run was begun."""

from __future__ import annotations

from itertools import pairwise

from harness.store.rows import Run
from harness.store.store import Store


def given_settings(store: Store, run: Run) -> tuple[str, ...]:
    """The settings in the command that began the run. A run that Python began has none."""
    for session in store.sessions(run):
        words = [str(word) for word in session.provenance.get("argv", ())]
        separate = [word for flag, word in pairwise(words) if flag == "--set"]
        return (*separate, *(word.removeprefix("--set=") for word in words if word.startswith("--set=")))
    return ()
