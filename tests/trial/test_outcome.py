"""What a worker writes, and what is read of it wherever it breaks off."""

from __future__ import annotations

import io
import json
import math
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.invariants.base import Check
from harness.scoring.sentences import Sentences, StoredStatistics
from harness.trial.causes import Cause
from harness.trial.outcome import EventWriter, Outcome, Sample, read_event_file, read_events, samples_of

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
    return read_events(io.StringIO(text), died="it died", cause=Cause.KILLED)


def test_what_is_written_is_read() -> None:
    outcome = read(written())
    assert outcome.status == "finished"
    first, second = outcome.samples
    assert first == Sample("loss", 0, 2.5)
    assert math.isnan(second.value)
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


SAMPLE = '{"event":"sample","metric":"loss","step":0,"value":1.0}\n'
LAST = '{"event":"finished","outputs":{},"spent":{},"notes":{}}\n'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("not json", "is not an event: 'not json'"),
        ("[1]", "is not an event: '[1]'"),
        ("7", "is not an event: '7'"),
        ("", "is not an event: ''"),
        ("\ud800", "is not an event"),
        ("[" * 100_000, "is not an event: '[[["),
        ('{"event": "sample"}', "is not a complete sample"),
        ('{"event": "other"}', "is of an unknown kind"),
        ('{"event": ["sample"]}', "is of an unknown kind"),
        ('{"event":"sample","metric":"loss","step":0,"value":2.0}', "two values of 'loss' at step 0"),
        ('{"event":"sample","metric":"loss","step":-1,"value":2.0}', "steps must increase"),
        ('{"event":"sample","metric":"loss","step":1e2,"value":2.0}', "a whole step"),
        ('{"event":"sample","metric":"loss","step":true,"value":2.0}', "a whole step"),
        ('{"event":"sample","metric":"loss","step":9223372036854775808,"value":2.0}', "a step that is not"),
        ('{"event":"sample","metric":"loss","step":1,"value":"2.0"}', "a value that is a number"),
        ('{"event":"sample","metric":"loss","step":1,"value":null}', "a value that is a number"),
        (
            '{"event":"sample","metric":"loss","step":1,"value":1' + "0" * 400 + "}",
            "is not a complete sample",
        ),
        ('{"event":"sample","metric":"loss","step":1,"value":1' + "0" * 5000 + "}", "is not an event"),
        ('{"event":"sample","metric":"","step":1,"value":2.0}', "has 0 characters"),
        ('{"event":"sample","metric":"' + "m" * 201 + '","step":1,"value":2.0}', "has 201 characters"),
        ('{"event":"sample","metric":"a\\u0000","step":1,"value":2.0}', "is not printable"),
        ('{"event":"sample","metric":"\\ud800","step":1,"value":2.0}', "is not printable"),
        ('{"event":"sample","metric":7,"step":1,"value":2.0}', "is not printable text"),
        ('{"event":"sample","metric":"gpu_energy_joules","step":0,"value":0.1}', "the driver measures"),
        ('{"event":"check","case":"c"}', "is not a complete check"),
        ('{"event":"sentences","sources":[]}', "is not a complete sentences"),
        ('{"event":"finished","outputs":[],"spent":{},"notes":{}}', "are mappings"),
        ('{"event":"finished","outputs":{"a":1},"spent":{},"notes":{}}', "outputs are texts"),
        ('{"event":"failed","error":1,"traceback":""}', "are texts"),
        ('{"event":"failed","error":"","traceback":"","cause":"bad luck"}', "is not a complete failed"),
    ],
)
def test_a_line_that_is_no_event_fails_the_trial_whatever_follows(line: str, said: str) -> None:
    for text in (f"{SAMPLE}{line}\n{LAST}", f"{SAMPLE}{line}\n"):
        outcome = read(text)
        assert (outcome.status, outcome.cause) == ("failed", Cause.BROKEN_EVENT)
        assert str(outcome.error).startswith("line 2 of its events ")
        assert said in str(outcome.error)
        assert len(str(outcome.error)) < 400
        assert list(outcome.samples) == [Sample("loss", 0, 1.0)]


@given(st.binary(max_size=200))
def test_whatever_bytes_a_trial_writes_its_outcome_can_be_read(written: bytes) -> None:
    outcome = read_events([*written.splitlines(keepends=True)], died="it died", cause=Cause.KILLED)
    assert outcome.status in ("lost", "failed")
    assert samples_of(written.splitlines()) == []


@pytest.mark.parametrize(
    ("metric", "steps", "said"),
    [
        ("loss", (3, 3), "two values of 'loss' at step 3"),
        ("loss", (3, 2), "a value of 'loss' at step 2 comes after one at step 3; steps must increase"),
        ("loss", (2**63,), "a step that is not allowed"),
        ("a\nb", (0,), "is not printable text"),
        ("", (0,), "has 0 characters; 1 to 200 are allowed"),
        ("m" * 201, (0,), "has 201 characters"),
        ("cpu_joules_per_token", (0,), "the driver measures cpu_joules_per_token, so a trial cannot"),
    ],
)
def test_the_writer_refuses_what_the_reader_would(metric: str, steps: tuple[int, ...], said: str) -> None:
    stream = io.StringIO()
    writer = EventWriter(stream)
    for step in steps[:-1]:
        writer.sample(metric, 1.0, step)
    before = stream.getvalue()
    with pytest.raises(ValueError, match=said):
        writer.sample(metric, 1.0, steps[-1])
    assert stream.getvalue() == before


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40))
def test_any_printable_name_of_a_metric_comes_back(name: str) -> None:
    stream = io.StringIO()
    writer = EventWriter(stream)
    if name.isprintable():
        writer.sample(name, 1.0)
        assert list(read(stream.getvalue()).samples) == [Sample(name, 0, 1.0)]
    else:
        with pytest.raises(ValueError, match="is not printable"):
            writer.sample(name, 1.0)


def test_a_file_of_events_is_removed_and_its_samples_can_be_read_again_and_again(tmp_path: Path) -> None:
    """In pieces of a megabyte, so that a line may be in two of them."""
    file = tmp_path / "events.jsonl"
    count = 50_000
    with file.open("w") as stream:
        writer = EventWriter(stream)
        for step in range(count):
            writer.sample("loss", step / 7, step)
            if not step % 1000:
                writer.check(CHECK)
        writer.finished(outputs={}, spent={}, notes={})
    outcome = read_event_file(file, died="it died", cause=Cause.KILLED)
    assert list(tmp_path.iterdir()) == []
    assert outcome.status == "finished"
    assert len(outcome.samples) == count
    expected = [Sample("loss", step, step / 7) for step in range(count)]
    assert list(outcome.samples) == expected
    assert list(outcome.samples) == expected
    assert len(outcome.checks) == count // 1000


def test_a_trial_without_a_file_of_events_has_the_cause_of_its_death(tmp_path: Path) -> None:
    outcome = read_event_file(tmp_path / "none", died="it died", cause=Cause.SEGFAULT, printed="last words")
    assert (outcome.status, outcome.error, outcome.cause) == ("failed", "it died", Cause.SEGFAULT)
    assert outcome.traceback == "last words"


def test_a_long_error_is_shortened_from_its_beginning() -> None:
    stream = io.StringIO()
    EventWriter(stream).failed("e" * 200_000 + "the end", "t" * 200_000, Cause.ERROR)
    outcome = read(stream.getvalue())
    assert len(str(outcome.error)) == len(str(outcome.traceback)) == 100_000
    assert str(outcome.error).endswith("the end")


def test_samples_in_a_file_can_be_sent_to_another_process(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    with events.open("w") as stream:
        writer = EventWriter(stream)
        for step in range(3):
            writer.sample("loss", step / 3, step)
        writer.finished(outputs={}, spent={}, notes={})
    outcome = read_event_file(events, died="it died", cause=Cause.NO_RESULT)
    sent = pickle.loads(pickle.dumps(outcome))
    expected = [Sample("loss", step, step / 3) for step in range(3)]
    assert (len(sent.samples), list(sent.samples), list(outcome.samples)) == (3, expected, expected)
