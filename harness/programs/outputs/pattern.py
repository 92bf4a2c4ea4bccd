"""Values that a regular expression finds in the lines of the standard output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints

from harness.programs.outputs.base import OutputKind, Printed, Value, number_of, step_of


def _complete(pattern: str) -> str:
    try:
        groups = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"this is not a regular expression: {error}") from None
    named = groups.groupindex.keys()
    if not (groups.groups == 1 and not named) and named not in ({"value"}, {"value", "step"}):
        raise ValueError("use one group for the value, or groups named `value` and `step`")
    return pattern


class Pattern(OutputKind):
    """A regular expression with one group, the value: `loss ([0-9.]+)`. With groups named `value` and `step`
    it gives the step as well. It is searched for once in each line.
    """

    kind: Literal["pattern"] = "pattern"
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_complete)]
    """A regular expression with one group, the value, or with groups named `value` and `step`."""

    def values(self, metric: str, printed: Printed) -> Iterator[Value]:  # noqa: ARG002
        search = re.compile(self.pattern).search
        for number, line in enumerate(printed.lines, start=1):
            match = search(line)
            if match is None:
                continue
            groups, where = match.groupdict(), f"line {number} of the output"
            step = groups.get("step")
            yield Value(
                None if step is None else step_of(step, where),
                number_of(groups["value"] if groups else match.group(1), where),
            )
