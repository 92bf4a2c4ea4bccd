"""Scalars in the event files of TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import StringConstraints

from harness.programs.outputs.base import FilePath, OutputKind, Printed, ProgramOutputError, Value, number_of


class TensorBoard(OutputKind):
    """The scalar `tag` in the event files that lie in `folder` itself. Needs the extra `tensorboard`."""

    kind: Literal["tensorboard"] = "tensorboard"
    folder: FilePath
    """The folder of the event files, relative to the folder in which the program runs."""

    tag: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """The tag of the scalar."""

    def values(self, metric: str, printed: Printed) -> Iterator[Value]:  # noqa: ARG002
        try:
            from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        except ImportError:
            raise ProgramOutputError(
                "event files of TensorBoard cannot be read",
                hint="pip install 'transformer-harness[tensorboard]'",
            ) from None
        if not (printed.folder / self.folder).is_dir():
            raise ProgramOutputError(f"the program wrote no folder {self.folder}")
        events = EventAccumulator(
            str(printed.folder / self.folder), size_guidance={"scalars": 0, "tensors": 0}
        )
        events.Reload()
        if self.tag in events.Tags()["scalars"]:
            for event in events.Scalars(self.tag):
                yield Value(int(event.step), float(event.value))
        elif self.tag in events.Tags()["tensors"]:
            from tensorboard.util.tensor_util import make_ndarray

            for event in events.Tensors(self.tag):
                value = make_ndarray(event.tensor_proto).tolist()
                yield Value(int(event.step), number_of(value, f"{self.tag} at step {event.step}"))
        else:
            raise ProgramOutputError(f"{self.folder} has no scalar {self.tag!r}")
