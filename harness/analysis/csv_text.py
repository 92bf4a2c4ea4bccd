"""The long frame of samples as CSV, as pandas writes it, but several times faster: rows may be millions."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd


def csv_text(frame: pd.DataFrame, *, header: bool = True) -> str:
    """The rows as lines. Only the step and the value, which are neighbours, differ within a trial and a
    metric; everything else is written once for all of their samples. NaN is an empty field.
    """
    names = list(frame.columns)
    middle = names.index("step")
    assert names[middle + 1] == "value"
    lines = [_line(names)] if header else []
    keys = [frame[name].factorize()[0] for name in ("trial", "metric")]
    changed = np.flatnonzero(np.any([np.diff(key, prepend=-1) for key in keys], axis=0))
    firsts = frame.iloc[changed]
    columns = [firsts[name].astype(object).where(firsts[name].notna(), "") for name in names]
    steps, values = frame["step"].tolist(), frame["value"].tolist()
    bounds = pairwise([*changed.tolist(), len(frame)])
    for (begin, end), fields in zip(bounds, zip(*columns, strict=True), strict=True):
        before = _line([*fields[:middle], ""])[:-1]
        after = _line(["", *fields[middle + 2 :]])
        lines += [
            f"{before}{step},{'' if value != value else repr(value)}{after}"  # noqa: PLR0124  NaN
            for step, value in zip(steps[begin:end], values[begin:end], strict=True)
        ]
    return "".join(lines)


def _line(fields: Sequence[Any]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(fields)
    return written.getvalue()
