"""Settings are found by the paths that a person types."""

from __future__ import annotations

import pytest

from harness.errors import InputError
from harness.study.describing.find import find_settings


@pytest.mark.parametrize(
    ("path", "name", "tasks"),
    [
        ("design.rounds", "design.rounds", ()),
        ("search.sampler.tpe.random", "search.sampler.tpe.random", ()),
        ("claims.ratio", "claims.ratio", ()),
        ("claims.ratio.within", "claims.ratio.within", ()),
        ("metrics.output.csv.column", "metrics.output.csv.column", ()),
        ("base.optimizer.adamw.lr", "base.optimizer.adamw.lr", ("step", "train")),
        ("optimizer.adamw.lr", "base.optimizer.adamw.lr", ("step", "train")),
        ("train.optimizer.adamw.lr", "base.optimizer.adamw.lr", ("train",)),
        ("train", "base", ("train",)),
        ("optimizer.muon", "base.optimizer.muon", ("step", "train")),
        ("generate.model.train.model.decoder.norm.rmsnorm.eps", None, ("generate",)),
    ],
)
def test_one_setting_is_found(path: str, name: str | None, tasks: tuple[str, ...]) -> None:
    (match,) = find_settings(path)
    assert match.setting.name == (name or "base." + path.partition(".")[2])
    assert tuple(sorted(match.tasks)) == tasks


def test_without_the_kind_the_settings_of_all_kinds_are_found() -> None:
    names = {match.setting.name for match in find_settings("base.schedule.floor")}
    assert names == {f"base.schedule.{kind}.floor" for kind in ("cosine", "linear", "warmup-stable-decay")}


def test_a_setting_with_another_default_is_described_for_its_tasks() -> None:
    defaults = {match.setting.default: sorted(match.tasks) for match in find_settings("base.cache")}
    assert defaults == {"none": ["generate"], "dynamic": ["continue_text", "translate"]}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("desgin", "there is no setting 'desgin'; did you mean 'design'?"),
        ("design.round", "there is no setting 'round' in design; did you mean 'rounds'?"),
        ("base.optimizr.lr", "there is no setting 'optimizr' in base; did you mean 'optimizer'?"),
        ("train.model.nrm", "there is no setting 'nrm' in base.model; did you mean 'norm'?"),
        ("question.mark", "there is no setting 'mark' in question"),
    ],
)
def test_a_misspelt_path_is_refused_with_a_suggestion(path: str, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        find_settings(path)
    assert "; ".join(filter(None, (refusal.value.message, refusal.value.hint))).startswith(message)
