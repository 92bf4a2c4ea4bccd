"""Recipes that are wrong, and studies that use them wrongly."""

from __future__ import annotations

from pathlib import Path

from harness.study.load import load_study
from harness.study.shipped import SHIPPED
from tests.study.load.refusals import Spoilt, cases, refusal, refusal_of_spoilt
from tests.support.tiny_study import RECIPE, STUDY, put, spoilt

REFUSED: tuple[Spoilt, ...] = (
    (
        "an unknown recipe",
        "recipe: small",
        "recipe: smal",
        f"5:19: there is no recipe 'smal' in studies/recipes or {SHIPPED}/recipes; "
        + "did you mean 'small' or 'mt-small'?",
    ),
    (
        "a number for a recipe",
        "recipe: small",
        "recipe: 5",
        "5:19: model.recipe: expected text, found 5; and 1 more problem",
    ),
    (
        "a scalar over a recipe",
        "recipe: small",
        "recipe: small, train: 5",
        "5:33: model.train: expected a mapping, found 5",
    ),
    (
        "a wrong override of a recipe",
        "recipe: small",
        "recipe: small, train: {updates: many}",
        "5:43: model.train.updates: expected an integer, found 'many'",
    ),
    (
        "a misspelt override of a recipe",
        "recipe: small",
        "recipe: small, train: {model: {n_head: 2}}",
        "5:42: unknown key 'n_head' in model.train.model; did you mean 'n_heads'?",
    ),
)

IN_RECIPE: tuple[Spoilt, ...] = (
    (
        "a misspelt key",
        "updates:",
        "update:",
        "6:1: unknown key 'update' in model.train; did you mean 'updates'?",
    ),
    ("a missing key", "batch: 4\n", "", "1:1: missing key 'batch' in model.train"),
    (
        "a duplicate key",
        "length: 32\n",
        "length: 32\nlength: 32\n",
        "6:1: duplicate key 'length'; it is already on line 5",
    ),
    (
        "text for an integer",
        "n_heads: 2",
        "n_heads: many",
        "3:44: model.train.model.n_heads: expected an integer, found 'many'",
    ),
    (
        "sizes that do not fit",
        "n_heads: 2",
        "n_heads: 3",
        "3:8: model.train.model: d_model 16 is not a multiple of n_heads 3",
    ),
    (
        "a misspelt size",
        "n_heads: 2",
        "n_head: 2",
        "3:35: unknown key 'n_head' in model.train.model; did you mean 'n_heads'?",
    ),
    (
        "an unknown preset",
        "{d_model: 16, n_layers: 1, n_heads: 2, d_ff: 32, max_positions: 64}",
        "{preset: nanno}",
        "1:1: model.train: model has no preset 'nanno'; did you mean 'nano'?",
    ),
    ("text for a rate", "1e-3", "fast", "7:30: model.train.optimizer.lr: expected a number, found 'fast'"),
    (
        "an unknown optimizer",
        "kind: adamw",
        "kind: adamx",
        "7:19: model.train.optimizer.kind: 'adamx' is not an allowed value; did you mean 'adam' or 'radam'?",
    ),
    (
        "a warm-up that is too long",
        "warmup: 1",
        "warmup: 100",
        "8:34: model.train: schedule.warmup 100 is longer than the run of 4 updates",
    ),
    (
        "an unknown corpus",
        "python-docs",
        "python-doc",
        "1:9: model.train.corpus: unknown corpus 'python-doc'; did you mean 'python-docs'?",
    ),
    ("no mapping", RECIPE, "5\n", "1:1: expected a mapping of keys to values"),
)


@cases(REFUSED)
def test_a_recipe_that_is_used_wrongly(old: str, new: str, message: str) -> None:
    assert refusal_of_spoilt(old, new) == message


@cases(IN_RECIPE)
def test_a_spoilt_recipe_is_named_with_its_own_line(old: str, new: str, message: str) -> None:
    put(Path(), recipe=spoilt(RECIPE, old, new))
    assert refusal() == f"studies/recipes/small.yaml:{message}"


def test_a_level_may_name_a_recipe_which_is_then_used(tmp_path: Path) -> None:
    text = spoilt(STUDY, "  cache: [none, dynamic, static]", "  model.recipe: [small, wide]")
    text = text[: text.index("claims:")] + "design: {rounds: 10}\n"
    text = spoilt(text, "design: {seeds: 1, rounds: 10}\n", "parity: {differ: [parameters]}\n")
    file = put(tmp_path, text)
    (file.parent / "recipes" / "wide.yaml").write_text(spoilt(RECIPE, "d_model: 16", "d_model: 32"))
    (loaded,) = load_study(file)
    widths = [
        loaded.tasks[arm.name, "new_tokens=8"].plain()["model"]["train"]["model"]["d_model"]
        for arm in loaded.arms
    ]
    assert widths == [16, 32]
