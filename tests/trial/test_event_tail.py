"""The events of a trial that is running, read piece by piece or from their end."""

from __future__ import annotations

from pathlib import Path

from harness.trial.event_tail import LAST_BYTES, EventTail
from harness.trial.outcome import EventWriter, Sample


def test_only_what_is_new_is_read_and_a_line_that_is_being_written_waits(tmp_path: Path) -> None:
    path = tmp_path / "events"
    tail = EventTail(path)
    assert tail.new_samples() == tail.last_samples() == []
    with path.open("w") as stream:
        EventWriter(stream).sample("loss", 2.0, 0)
        EventWriter(stream).sample("gradient_norm", 1.0, 0)
        stream.write('{"event":"sample","metric":"lo')
    assert tail.new_samples() == [Sample("loss", 0, 2.0), Sample("gradient_norm", 0, 1.0)]
    with path.open("a") as stream:
        stream.write('ss","step":1,"value":1.5}\n')
        EventWriter(stream).sample("loss", 0.5, 2)
    assert tail.new_samples() == [Sample("loss", 1, 1.5), Sample("loss", 2, 0.5)]
    assert tail.new_samples() == []
    assert tail.last_samples()[-1] == Sample("loss", 2, 0.5)


def test_one_metric_is_picked_by_its_exact_name(tmp_path: Path) -> None:
    path = tmp_path / "events"
    with path.open("w") as stream:
        for metric in ("validation_loss", "loss", "auxiliary_loss_x"):
            EventWriter(stream).sample(metric, 1.0, 0)
    assert EventTail(path).new_samples("loss") == [Sample("loss", 0, 1.0)]


def test_the_end_of_a_long_file_is_read_without_the_line_that_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "events"
    with path.open("w") as stream:
        writer = EventWriter(stream)
        for step in range(2000):
            writer.sample("loss", 1.0, step)
    samples = EventTail(path).last_samples()
    assert samples[-1].step == 1999
    assert [sample.step for sample in samples] == list(range(2000 - len(samples), 2000))
    assert 0 < len(samples) * 55 < LAST_BYTES
