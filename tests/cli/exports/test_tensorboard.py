"""Samples as event files, read again by TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from harness.cli.exports.tensorboard import write_event_files
from harness.programs.outputs.base import Printed
from harness.programs.outputs.tensorboard import TensorBoard

pytest.importorskip("tensorboard", reason="event files need the extra tensorboard")


def samples(trial: int, arm: str, values: list[float], metric: str = "loss") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "trial": trial,
            "arm": arm,
            "condition": '{"n":"16"}',
            "seed": 3,
            "round": 1,
            "metric": metric,
            "step": range(len(values)),
            "value": values,
        }
    )


def read(folder: Path, metric: str = "loss") -> list[tuple[int | None, float]]:
    output = TensorBoard(folder=".", tag=metric)
    return [(value.step, value.value) for value in output.values(metric, Printed(lines=(), folder=folder))]


def test_every_trial_has_a_folder_with_its_curves(tmp_path: Path) -> None:
    both = pd.concat(
        [
            samples(1, "lr=0.1", [3.0, 2.5]),
            samples(1, "lr=0.1", [7.0], "data_seconds"),
            samples(2, "x", [1.0]),
        ]
    )
    one, two = write_event_files([both], tmp_path)
    assert one == tmp_path / "lr=0.1_n_16" / "seed_3_round_1_trial_1"
    assert read(one) == [(0, 3.0), (1, 2.5)]
    assert read(one, "data_seconds") == [(0, 7.0)]
    assert read(two) == [(0, 1.0)]


def test_a_trial_in_two_pieces_is_one_file_and_a_second_export_replaces_it(tmp_path: Path) -> None:
    pieces = [samples(1, "a", [3.0, 2.0]), samples(1, "a", [5.0], "lr")]
    (folder,) = write_event_files(pieces, tmp_path)
    (file,) = folder.iterdir()
    before = file.read_bytes()
    assert (read(folder), read(folder, "lr")) == ([(0, 3.0), (1, 2.0)], [(0, 5.0)])
    write_event_files(pieces, tmp_path)
    assert file.read_bytes() == before


def test_a_name_leads_to_no_other_folder(tmp_path: Path) -> None:
    (folder,) = write_event_files([samples(1, "../../etc", [1.0])], tmp_path / "out")
    assert folder.resolve().is_relative_to(tmp_path / "out")
    (longest,) = write_event_files([samples(1, "a" * 400, [1.0])], tmp_path / "out")
    assert len(longest.parent.name) < 120
