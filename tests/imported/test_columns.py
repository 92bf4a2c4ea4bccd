"""What a column holds is guessed from its name, or given."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.imported.columns import Columns, find_columns
from harness.imported.options import FileOptions
from harness.imported.table_file import open_table


def columns(folder: Path, head: str, options: FileOptions | None = None) -> Columns:
    path = folder / "runs.csv"
    path.write_text(f"{head}\n", encoding="utf-8")
    return find_columns(open_table(path), options or FileOptions())


@pytest.mark.parametrize(
    ("head", "arm", "paired_by", "pair"),
    [
        ("arm,group,seed,round,x", "arm", "seed", "seed"),
        ("variant,Group,round,x", "Group", "round", "round"),
        ("params.variant,params.seed,x", "params.variant", "seed", "params.seed"),
        ("arm,params.arm,config.seed,x", "arm", "seed", "config.seed"),
    ],
)
def test_the_arm_and_the_pair_are_guessed(
    tmp_path: Path, head: str, arm: str, paired_by: str, pair: str
) -> None:
    guessed = columns(tmp_path, head)
    assert (guessed.arm, guessed.paired_by, guessed.pair) == (arm, paired_by, pair)


def test_given_columns_win(tmp_path: Path) -> None:
    options = FileOptions(arm="optimizer", pair=("round", "repeat"))
    given = columns(tmp_path, "arm,seed,params.optimizer,repeat,x", options)
    assert (given.arm, given.paired_by, given.pair) == ("params.optimizer", "round", "repeat")


def test_settings_and_internal_columns_are_not_metrics_unless_they_are_named(tmp_path: Path) -> None:
    head = "arm,seed,round,step,config.lr,_runtime,loss,accuracy"
    assert columns(tmp_path, head).measured == ("loss", "accuracy")
    assert columns(tmp_path, head, FileOptions(lower=("_runtime",))).measured == (
        "_runtime",
        "loss",
        "accuracy",
    )
    assert columns(tmp_path, head, FileOptions(metrics=("loss",), lower=("accuracy",))).measured == (
        "loss",
        "accuracy",
    )


def test_where_results_have_a_prefix_nothing_else_is_a_metric(tmp_path: Path) -> None:
    head = "experiment_id,params.arm,params.seed,metrics.loss"
    assert columns(tmp_path, head).measured == ("metrics.loss",)
    assert columns(tmp_path, head, FileOptions(metrics=("loss",))).measured == ("metrics.loss",)


def test_the_long_format_has_a_column_for_the_name_of_the_metric(tmp_path: Path) -> None:
    guessed = columns(tmp_path, "arm,seed,Metric,value,step")
    assert (guessed.metric, guessed.value, guessed.step, guessed.measured) == ("Metric", "value", "step", ())


@pytest.mark.parametrize(
    ("head", "options", "message", "hint"),
    [
        ("seed,x", FileOptions(), "no column is named arm, group, variant", "--arm COLUMN"),
        ("arm,x", FileOptions(), "no column is named seed or round", "--pair seed COLUMN"),
        ("params.arm,tags.arm,seed", FileOptions(), "could both be the arm", "--arm"),
        ("arm,seed,x", FileOptions(arm="amr"), "nothing in the file is named 'amr'", "'arm'"),
        ("arm,seed,x", FileOptions(arm="seed"), "cannot be the arm and the seed", "--arm"),
        ("arm,seed,loss", FileOptions(lower=("los",)), "nothing in the file is named 'los'", "'loss'"),
        (
            "arm,seed,loss,metrics.loss",
            FileOptions(lower=("loss",)),
            "could both be the metric 'loss'",
            "rename",
        ),
    ],
)
def test_what_is_missing_or_ambiguous_is_refused(
    tmp_path: Path, head: str, options: FileOptions, message: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        columns(tmp_path, head, options)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert str(caught.value.at).endswith("runs.csv:1")
