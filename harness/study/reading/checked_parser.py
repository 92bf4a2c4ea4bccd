"""ruamel's parser of YAML with a check of every event, before anything is built from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ruamel.yaml.parser import Parser


class CheckedParser(Parser):
    def __init__(self, loader: Any, *, check: Callable[[Any], None]) -> None:
        super().__init__(loader)
        self._check = check

    def get_event(self) -> Any:
        event = super().get_event()
        self._check(event)
        return event
