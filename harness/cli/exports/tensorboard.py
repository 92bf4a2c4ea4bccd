"""The samples of trials as event files of TensorBoard: one folder per trial, one scalar per metric."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import digest
from harness.masking import masked

if TYPE_CHECKING:
    import pandas as pd

_FILE = "events.out.tfevents.0000000000.harness"
"""TensorBoard wants a time and a machine in the name. They are left out: equal runs give equal files."""

_VERSION = "brain.Event:2"
_LONGEST_NAME = 80


def write_event_files(pieces: Iterable[pd.DataFrame], folder: Path) -> list[Path]:
    """Write the samples of each trial below a folder, and return the folders of the trials. A step is the
    step of the sample; times are left out.

    Raises ImportError if the package tensorboard is missing, and OSError.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    written: dict[Path, None] = {}
    for piece in pieces:
        for _, samples in piece.groupby("trial", sort=True):
            target = folder / _trial_name(samples.iloc[0])
            begun = target in written
            target.mkdir(parents=True, exist_ok=True)
            written[target] = None
            with (target / _FILE).open("ab" if begun else "wb") as file:
                writer = RecordWriter(file)
                if not begun:
                    writer.write(Event(file_version=_VERSION).SerializeToString())
                for metric, step, value in zip(
                    samples["metric"], samples["step"], samples["value"], strict=True
                ):
                    summary = Summary(value=[Summary.Value(tag=metric, simple_value=value)])
                    writer.write(Event(step=step, summary=summary).SerializeToString())
                writer.flush()
    return list(written)


def _trial_name(first: pd.Series) -> Path:
    """Names that a person can read, and a digest of those that would be too long or equal."""
    parts = [str(first["part"])] if "part" in first else []
    condition = "" if first["condition"] == "{}" else str(first["condition"])
    trial = f"seed {first['seed']} round {first['round']} trial {first['trial']}"
    return Path(*(_safe(text) for text in (*parts, f"{first['arm']} {condition}", trial)))


def _safe(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9=.+-]+", "_", masked(text)).strip("_.") or "trial"
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}_{digest(text)}"
