"""Studies that the harness itself writes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML


def study_text(document: Mapping[str, Any]) -> str:
    """The text of a study. Nothing in it is shared, because studies have no anchors."""
    stream = io.StringIO()
    YAML().dump(json.loads(json.dumps(document)), stream)
    return stream.getvalue()
