"""Scalars in real event files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.programs.outputs import Printed, Value
from harness.programs.outputs.base import ProgramOutputError
from harness.programs.outputs.tensorboard import TensorBoard

pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")


def values(folder: Path, tag: str, inner: str = "runs") -> list[Value]:
    return list(TensorBoard(folder=inner, tag=tag).values("loss", Printed(lines=(), folder=folder)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With scalars as old and as new writers write them, and a text."""
    import numpy as np
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    folder = tmp_path_factory.mktemp("events")
    (folder / "empty").mkdir()
    writer = EventFileWriter(str(folder / "runs"))
    for step, loss in ((1, 2.5), (4, 2.25)):
        old = Summary(value=[Summary.Value(tag="loss/val", simple_value=loss)])
        writer.add_event(Event(step=step, summary=old))
        new = Summary.Value(tag="loss/train", tensor=make_tensor_proto(np.float32(loss / 2)))
        writer.add_event(Event(step=step, summary=Summary(value=[new])))
    text = Summary(value=[Summary.Value(tag="text", tensor=make_tensor_proto("slow"))])
    many = Summary(value=[Summary.Value(tag="many", tensor=make_tensor_proto(np.zeros(3, np.float32)))])
    writer.add_event(Event(step=1, summary=text))
    writer.add_event(Event(step=1, summary=many))
    writer.close()
    return folder


def test_scalars_with_their_steps(folder: Path) -> None:
    assert values(folder, "loss/val") == [Value(1, 2.5), Value(4, 2.25)]
    assert values(folder, "loss/train") == [Value(1, 1.25), Value(4, 1.125)]


@pytest.mark.parametrize(
    ("tag", "inner", "error"),
    [
        ("loss", "runs", "runs has no scalar 'loss'"),
        ("loss", "empty", "empty has no scalar 'loss'"),
        ("loss", "none", "the program wrote no folder none"),
        ("text", "runs", "text at step 1: .* is not a number"),
        ("many", "runs", "many at step 1: .* is not a number"),
    ],
)
def test_what_is_no_scalar(folder: Path, tag: str, inner: str, error: str) -> None:
    with pytest.raises(ProgramOutputError, match=error):
        values(folder, tag, inner)


def test_without_the_package_the_error_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing.event_accumulator", None)
    with pytest.raises(ProgramOutputError, match=r"pip install 'transformer-harness\[tensorboard\]'"):
        values(folder, "loss/val")
