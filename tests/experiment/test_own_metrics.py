"""Studies that declare metrics, run from Python: each is judged by its own records."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

import harness
from harness.analysis.results import Analysis
from harness.experiment import Experiment
from harness.experiment.detectable_effect import detectable_effect
from harness.experiment.own_metrics import with_declared_metrics
from harness.metrics import METRICS, Metric, declared, known_metrics
from harness.report import build
from harness.study.declared_metric import DeclaredMetric
from tests.end_to_end.in_process import InProcess
from tests.support.program_study import SCRIPT, put_program


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", InProcess)


class Subject:
    def __init__(self, records: dict[str, Metric]) -> None:
        self.records = records

    @with_declared_metrics
    def known(self, other: Subject | None = None) -> list[str]:
        """The declared metrics that are known, and those inside of a call for another subject."""
        return [*sorted(known_metrics().keys() - METRICS.keys()), *(other.known() if other else ())]

    @with_declared_metrics
    def fail(self) -> None:
        raise RuntimeError


def test_metrics_are_known_inside_of_a_method() -> None:
    record = DeclaredMetric.read({"better": "lower", "paired_over": "seeds"}).record
    first, second = (Subject({name: record(name)}) for name in ("one", "two"))
    assert first.known(second) == ["one", "one", "two"]
    with pytest.raises(RuntimeError):
        first.fail()
    assert second.known() == ["two"]
    assert known_metrics() == dict(METRICS)


def test_two_studies_give_one_name_to_different_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process and one store: what is better in one of them is worse in the other. Then a metric of the
    first gets another meaning, so its claim is late. And a metric of the second is renamed, so that nothing
    knows the name that its samples have.
    """
    higher = ("val_loss: {better: lower", "val_loss: {better: higher")
    first = put_program(tmp_path / "a")
    second = put_program(tmp_path / "b", higher, script=f"{SCRIPT}# b\n", name="other")
    one, other = (harness.load(file, allow_commands=True).run() for file in (first, second))
    for experiment, verdict in ((other, "refuted"), (one, "confirmed"), (other, "refuted")):
        assert judged(experiment) == {"lower": verdict, "higher": "confirmed"}
    assert known_metrics() == dict(METRICS)
    samples = one.frame()
    assert set(samples.loc[samples["metric"] == "val_loss", "unit"]) == {"nats"}
    monkeypatch.setattr(build, "SECTIONS", [one for one in build.SECTIONS if "figures" not in one.id])
    assert "val loss" in build.render(*other.findings())
    put_program(tmp_path / "a", ("unit: nats", "unit: bits"))
    late = harness.load(first, allow_commands=True)
    assert judged(late) == {"lower": "undecided", "higher": "confirmed"}
    renamed = (higher, ("  score:\n", "  mark:\n"), ("metric: score", "metric: mark"), ("{score:", "{mark:"))
    put_program(tmp_path / "b", *renamed, script=f"{SCRIPT}# c\n", name="other")
    experiment = harness.load(second, allow_commands=True)
    with declared(experiment.records):
        effect = detectable_effect(experiment.parts[0], experiment.workspace)
    assert effect.source.startswith("as in run ")


def judged(experiment: Experiment) -> dict[str, str]:
    return dict(experiment.verdicts()[["id", "verdict"]].to_numpy().tolist())


ODD = {
    "lower_nan": ("lower", "seeds", "NaN"),
    "higher_nan": ("higher", "seeds", "NaN"),
    "rounds_nan": ("lower", "rounds", "NaN"),
    "higher_infinite": ("higher", "seeds", "Infinity"),
    "rounds_infinite": ("higher", "rounds", "1e999"),
    "lower_infinite": ("lower", "seeds", "-Infinity"),
    "zero": ("lower", "seeds", "0"),
}
"""Metrics with what is no measurement, but for the baseline."""


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """Of a run with three arms beside the baseline: one reports odd values, one ignores its seed, and one has
    no values for a seed. The score depends on no seed.
    """
    folder = tmp_path_factory.mktemp("odd")
    declarations = "".join(
        f"  {name}: {{better: {better}, paired_over: {over}}}\n" for name, (better, over, _) in ODD.items()
    )
    lines = "".join(
        f'[ $1 = 1000 ] && v={value} || v=2.5$2\necho "{{\\"metric\\": \\"{name}\\", \\"value\\": $v}}"\n'
        for name, (*_, value) in ODD.items()
    )
    begin = '[ $1 = 2000 ] && set -- 2000 1\n[ "$1 $2" = "3000 3" ] && exit 0\n'
    study = put_program(
        folder,
        ("design: {seeds: 6}\n", f"{declarations}design: {{seeds: 8}}\n"),
        ("warmup: [0, 1000]", "warmup: [0, 1000, 2000, 3000]"),
        script=begin + SCRIPT.replace("$2 * 13 % 7", "1") + lines,
    )
    with pytest.MonkeyPatch.context() as patched, contextlib.chdir(folder):
        patched.setattr("harness.run.backends.local.LocalBackend", InProcess)
        return harness.load(study, allow_commands=True).run().analysis()


def verdicts(analysis: Analysis, arm: str) -> dict[str, str]:
    return {one.metric: one.verdict for one in analysis.contrasts if one.arm == arm}


def test_what_is_no_measurement_is_never_better(analysis: Analysis) -> None:
    """Not even if it is infinite in the direction of what is better."""
    seen = verdicts(analysis, "warmup=1000")
    assert {seen[name] for name in ODD} == {"invalid"}
    assert "warmup=1000" not in analysis.invalid
    assert seen["val_loss"] == "better"


def test_a_count_that_no_seed_changes_makes_nothing_invalid(analysis: Analysis) -> None:
    assert "warmup=0" not in analysis.invalid


def test_a_program_that_ignores_its_seed_is_invalid(analysis: Analysis) -> None:
    assert "seeds 0, 1, 2, 3, 4, 5, 6 and 7 end with equal" in analysis.invalid["warmup=2000"]
    assert set(verdicts(analysis, "warmup=2000").values()) == {"invalid"}


def test_a_missing_value_makes_an_arm_invalid(analysis: Analysis) -> None:
    """Also if it is missing for one seed only."""
    reason = analysis.invalid["warmup=3000"]
    assert "1 of 8 measurements did not finish" in reason
    assert "with no value of val_loss" in reason
    assert set(verdicts(analysis, "warmup=3000").values()) == {"invalid"}
