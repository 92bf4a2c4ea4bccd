"""The settings of a model and of its loss are read as strictly as the rest of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import StudyError
from harness.study.load import load_study
from tests.support.tiny_study import RECIPE, put, spoilt

MODEL = "max_positions: 64"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (MODEL, f"{MODEL}, tie_embeddings: no", "model.tie_embeddings: expected true or false, found 'no'"),
        (
            MODEL,
            f"{MODEL}, attention: {{qkv_bias: off}}",
            "model.attention.qkv_bias: expected true or false, found 'off'",
        ),
        (MODEL, f'{MODEL}, init_std: "0.02"', "model.init_std: expected a number, found '0.02'"),
        (MODEL, f'{MODEL}, dropout: "0.1"', "model.dropout: expected a number, found '0.1'"),
        (
            MODEL,
            f'{MODEL}, position: {{kind: learned, offset: "2"}}',
            "model.position.offset: expected an integer, found '2'",
        ),
        (
            "length: 32",
            'length: 32\nloss: {label_smoothing: "0.1"}',
            "loss.label_smoothing: expected a number, found '0.1'",
        ),
    ],
)
def test_text_is_never_taken_for_a_number_or_a_truth_value(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    recipe = spoilt(RECIPE, old, new)
    file = put(tmp_path, recipe=recipe)
    with pytest.raises(StudyError) as refusal:
        load_study(file)
    line = next(number for number, text in enumerate(recipe.splitlines(), 1) if message.split("'")[1] in text)
    assert f"small.yaml:{line}:" in str(refusal.value)
    assert f": model.train.{message}" in str(refusal.value)


def test_a_list_is_still_read_as_a_tuple(tmp_path: Path) -> None:
    recipe = spoilt(RECIPE, MODEL, f"{MODEL}, attention: {{windows: [8, null]}}")
    (study,) = load_study(put(tmp_path, recipe=recipe))
    model = next(iter(study.tasks.values())).plain()["model"]["train"]["model"]
    assert model["attention"]["windows"] == [8, None]
