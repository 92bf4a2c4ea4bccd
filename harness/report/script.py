"""The script of the page, and the content security policy that lets only this script run."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from markupsafe import Markup

_FILE = Path(__file__).parent / "templates" / "report.js"


@cache
def script() -> Markup:
    """The text between the tags, which is not escaped."""
    text = _FILE.read_text(encoding="utf-8")
    assert "</" not in text
    return Markup(text)


@cache
def policy() -> str:
    """Nothing may be loaded, and no script may run except for the one with this digest."""
    digest = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
