"""Values in a JSON file that the program writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from harness.programs.outputs.base import (
    FilePath,
    OutputKind,
    Printed,
    ProgramOutputError,
    Value,
    number_of,
    text_of,
)


class JsonFile(OutputKind):
    """A number, or a list of numbers, in `file`. `path` leads to it: `results.0.loss` is the `loss` of the
    first of the `results`.
    """

    kind: Literal["json"] = "json"
    file: FilePath
    """The JSON file, relative to the folder in which the program runs."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """The path to the value inside the file: `results.0.loss`."""

    def values(self, metric: str, printed: Printed) -> Iterator[Value]:  # noqa: ARG002
        there = self._there(read_json(printed, self.file))
        where = f"{self.file} at {self.path}"
        for value in there if isinstance(there, list) else [there]:
            yield Value(None, number_of(value, where))

    def _there(self, document: Any) -> Any:
        for key in self.path.split("."):
            try:
                document = document[int(key)] if isinstance(document, list) else document[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise ProgramOutputError(
                    f"{self.file} has nothing at {self.path} (there is no {key!r})"
                ) from None
        return document


def read_json(printed: Printed, file: str) -> Any:
    """The content of a JSON file of the program. Raises ProgramOutputError if it is not JSON."""
    try:
        return json.loads(text_of(printed, file))
    except (ValueError, RecursionError) as error:
        raise ProgramOutputError(f"{file} is not JSON: {error}") from None
