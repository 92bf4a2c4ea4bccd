"""The studies that ship are found from anywhere, and so are their recipes from a copy of a study."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.config import content, digest
from harness.errors import StudyError
from harness.run.source_watch import files_of
from harness.study.load import load_study
from harness.study.shipped import SHIPPED, recipe_file, studies_in


def test_they_are_those_of_the_repository() -> None:
    assert Path(__file__).parents[2] / "studies" == SHIPPED
    assert {"kv_cache", "optimizers", "decoding"} <= studies_in(SHIPPED).keys()


def test_a_copied_study_uses_the_recipes_that_ship(tmp_path: Path) -> None:
    copied = shutil.copy(SHIPPED / "kv_cache.yaml", tmp_path / "mine.yaml")
    [one], [other] = load_study(Path(copied), "smoke"), load_study(SHIPPED / "kv_cache.yaml", "smoke")
    assert one.task_digests == other.task_digests
    [recipe] = [file for file in files_of(one) if file.parent.name == "recipes"]
    assert recipe.resolve() == SHIPPED / "recipes" / "lm-nano.yaml"


def test_a_recipe_beside_the_study_comes_first(tmp_path: Path) -> None:
    study = Path(shutil.copy(SHIPPED / "kv_cache.yaml", tmp_path / "mine.yaml"))
    text = (SHIPPED / "recipes" / "lm-nano.yaml").read_text()
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "lm-nano.yaml").write_text(text.replace("updates: 250", "updates: 251"))
    assert recipe_file(study, "lm-nano") == tmp_path / "recipes" / "lm-nano.yaml"
    ids = {digest(content(task)) for task in load_study(study)[0].tasks.values()}
    assert ids.isdisjoint(load_study(SHIPPED / "kv_cache.yaml")[0].task_digests.values())


def test_the_recipes_of_the_user_come_before_those_that_ship(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study that lies elsewhere can use them."""
    study = Path(shutil.copy(SHIPPED / "kv_cache.yaml", tmp_path / "mine.yaml"))
    recipes = tmp_path / "project" / "studies" / "recipes"
    recipes.mkdir(parents=True)
    shutil.copy(SHIPPED / "recipes" / "lm-nano.yaml", recipes)
    monkeypatch.chdir(tmp_path / "project")
    assert recipe_file(study, "lm-nano") == Path("studies/recipes/lm-nano.yaml")
    (tmp_path / "recipes").mkdir()
    shutil.copy(SHIPPED / "recipes" / "lm-nano.yaml", tmp_path / "recipes")
    assert recipe_file(study, "lm-nano") == tmp_path / "recipes" / "lm-nano.yaml"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "lm-nanu",
            "there is no recipe 'lm-nanu' in {here}/recipes or studies/recipes; did you mean 'lm-nano'",
        ),
        ("../secret", "'../secret' is not a valid name of a recipe; use at most 64 letters"),
        ("x" * 5000, "is not a valid name of a recipe; use at most 64 letters"),
    ],
)
def test_a_recipe_that_is_in_neither_folder(tmp_path: Path, name: str, said: str) -> None:
    text = (SHIPPED / "kv_cache.yaml").read_text().replace("recipe: lm-nano", f"recipe: {name}")
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(StudyError) as caught:
        load_study(tmp_path / "mine.yaml", "smoke")
    assert said.format(here=tmp_path) in str(caught.value)
    assert len(str(caught.value)) < 700
