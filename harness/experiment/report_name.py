"""The name of a report's file, which tells variants of a study, planted bugs and single runs apart."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from harness.masking import masked
from harness.study.reading.overlays import BODY_SCALE

MOST_LETTERS = 80
"""The longest text about the settings in a name."""

_UNSAFE = re.compile(r"[^a-z0-9._=,-]+")


def report_name(
    study: str, scale: str, settings: Sequence[str] = (), *, plant: str | None = None, run: str = ""
) -> str:
    """`kv_cache.smoke+design.rounds=4.html`: the study, the scale if it is not that of the body, the settings
    of `--set`, the planted bug, and the run if one was chosen.

    Only small letters, digits and `._=,+-` are written. If the settings have other characters or are too
    long, a digest of them follows, so that other settings have another name.
    """
    parts = [study]
    parts += [] if scale == BODY_SCALE else [f".{scale}"]
    parts += [f"+{_readable(settings)}"] if settings else []
    parts += [f".planted-{_UNSAFE.sub('-', plant)}"] if plant else []
    parts += [f".run-{run}"] if run else []
    return f"{''.join(parts)}.html"


def _readable(settings: Sequence[str]) -> str:
    written = [masked(setting) for setting in settings]
    safe = "+".join(_UNSAFE.sub("-", setting).strip("-") for setting in written)
    if safe == "+".join(written) and len(safe) <= MOST_LETTERS:
        return safe
    digest = hashlib.sha256("\0".join(written).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe[:MOST_LETTERS]}-{digest}"
