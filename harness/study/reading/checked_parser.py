"""ruamel's scanner and parser of YAML, with what they do not check themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ruamel.yaml.parser import Parser
from ruamel.yaml.scanner import Scanner, ScannerError


class CheckedScanner(Scanner):
    def fetch_more_tokens(self) -> Any:
        """Raises ScannerError also for a number that Python refuses: that of a version or of an escape."""
        try:
            return super().fetch_more_tokens()
        except (ValueError, OverflowError) as error:
            mark = self.reader.get_mark()
            raise ScannerError(None, None, "a number is out of range", mark) from error


class CheckedParser(Parser):
    """Calls `check` with every event, before anything is built from it."""

    def __init__(self, loader: Any, *, check: Callable[[Any], None]) -> None:
        super().__init__(loader)
        self._check = check

    def get_event(self) -> Any:
        event = super().get_event()
        self._check(event)
        return event
