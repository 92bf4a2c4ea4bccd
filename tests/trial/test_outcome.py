"""What a worker writes, and what is read of it wherever it breaks off."""

from __future__ import annotations

import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.invariants.base import Check
from harness.scoring.sentences import Sentences, StoredStatistics
from harness.trial.outcome import EventWriter, Outcome, Sample, read_events

CHECK = Check(
    case="c", precision="float64", passed=False, deviation=math.inf, tolerance=1e-10, compared=3, skipped=1
)


def written() -> str:
    stream = io.StringIO()
    writer = EventWriter(stream)
    writer.started("id", 1)
    writer.sample("loss", 2.5, 0)
    writer.sample("loss", math.nan, 1)
    writer.check(CHECK)
    writer.finished(outputs={"weights": "w"}, spent={"updates": 2}, notes={"said": "é\n"})
    return stream.getvalue()


def read(text: str) -> Outcome:
    return read_events(io.StringIO(text), died="it died")


def test_what_is_written_is_read() -> None:
    outcome = read(written())
    assert outcome.status == "finished"
    assert outcome.samples[0] == Sample("loss", 0, 2.5)
    assert math.isnan(outcome.samples[1].value)
    assert outcome.checks == (CHECK,)
    assert (outcome.outputs, outcome.spent, outcome.notes) == (
        {"weights": "w"},
        {"updates": 2},
        {"said": "é\n"},
    )


@given(st.integers(0, len(written()) - 1))
def test_cut_off_anywhere_it_is_a_death_that_keeps_the_whole_lines(cut: int) -> None:
    part = written()[:cut]
    outcome = read(part)
    complete = part.count("\n")
    assert (outcome.status, outcome.error) == ("lost", "it died")
    assert len(outcome.samples) == max(0, min(complete, 3) - 1)
    assert len(outcome.checks) == (complete >= 4)


def test_sentences_are_read_as_they_were_written() -> None:
    sentences = Sentences(
        sources=("a",),
        references=("b",),
        outputs=("\n é",),
        unseen=(1,),
        scores={"rouge1": StoredStatistics(signature="s", values=((0.1, 1.0),))},
    )
    stream = io.StringIO()
    writer = EventWriter(stream)
    writer.sentences(sentences)
    writer.finished(outputs={}, spent={}, notes={})
    assert read(stream.getvalue()).sentences == sentences


@given(st.floats(), st.integers(0, 10**9))
def test_every_float_comes_back_bit_for_bit(value: float, step: int) -> None:
    stream = io.StringIO()
    EventWriter(stream).sample("loss", value, step)
    [sample] = read(stream.getvalue()).samples
    assert sample.step == step
    assert (math.isnan(value) and math.isnan(sample.value)) or sample.value.hex() == value.hex()


@pytest.mark.parametrize("kind", ["float32", "int64", "bool_"])
def test_numbers_of_numpy_are_numbers(kind: str) -> None:
    import numpy as np

    stream = io.StringIO()
    EventWriter(stream).sample("loss", getattr(np, kind)(1), 0)
    assert json.loads(stream.getvalue())["value"] == 1.0


def test_a_failure_keeps_its_reason_its_traceback_and_what_came_before() -> None:
    stream = io.StringIO()
    writer = EventWriter(stream)
    writer.sample("loss", 1.0)
    writer.failed("ValueError: no", "Traceback …")
    outcome = read(stream.getvalue())
    assert (outcome.status, outcome.error, outcome.traceback) == ("failed", "ValueError: no", "Traceback …")
    assert outcome.samples == (Sample("loss", 0, 1.0),)


def test_every_line_is_there_as_soon_as_it_is_written() -> None:
    class Watched(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    stream = Watched()
    writer = EventWriter(stream)
    writer.sample("loss", 1.0)
    writer.check(CHECK)
    assert stream.flushed == 2
