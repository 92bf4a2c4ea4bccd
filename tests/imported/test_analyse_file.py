"""Exports of other programs, and how often noise is called better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.imported import FileOptions, analyse_file
from tests.imported.results import analysed, csv_file, losses, only, rows


def test_guesses_are_said(tmp_path: Path) -> None:
    lines = rows(losses({"a": 1.0, "b": 0.97}, 8))
    assert analysed(tmp_path, lines).guesses == (
        "the arms are in the column 'arm' (--arm)",
        "the trials are paired by seed, in the column 'seed' (--pair)",
        "the baseline is 'a', the first arm in the file (--baseline)",
    )
    given = {"arm": "arm", "pair": ("seed", "seed"), "baseline": "b"}
    analysis = analysed(tmp_path, lines, **given)
    assert analysis.guesses == ()
    assert (only(analysis).arm, only(analysis).baseline) == ("a", "b")


@pytest.mark.parametrize(
    ("lines", "options", "message", "hint"),
    [
        (["arm,seed,x", "a,1,2", "a,2,3"], {}, "has only one arm, 'a'", "--arm"),
        (
            ["arm,seed,x", "a,1,2", "b,1,3"],
            {"baseline": "A"},
            "no row of the column 'arm' is 'A'",
            "known: a, b",
        ),
        (["arm,seed,x", "a,1,y", "b,1,z"], {}, "'x' is not a column of numbers", "--metric"),
        (["arm,seed", "a,1", "b,1"], {}, "no column can be compared", "--metric"),
    ],
)
def test_what_cannot_be_analysed_is_bad_input(
    tmp_path: Path, lines: list[str], options: dict[str, str], message: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        analysed(tmp_path, lines, **options)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


WANDB = (
    '"Name","State","Notes","User","Tags","Created","Runtime","Sweep",'
    '"lr","optimizer","seed","_step","val_loss"'
)


def wandb_export(values: dict[str, list[float]], state: str = "finished") -> list[str]:
    """The table of runs of W&B as CSV: every cell in quotes; settings and final values side by side."""
    lines = [WANDB]
    for arm, side in values.items():
        for seed, value in enumerate(side):
            created = f"2026-01-0{seed + 1}T10:00:00.000Z"
            cells = [
                f"run-{arm}-{seed}",
                state,
                "",
                "me",
                "",
                created,
                61 + seed,
                "",
                0.001,
                arm,
                seed,
                999,
                value,
            ]
            lines.append(",".join(f'"{cell}"' for cell in cells))
    return lines


def test_a_table_of_runs_of_wandb(tmp_path: Path) -> None:
    lines = wandb_export(losses({"adam": 1.0, "lion": 0.97}, 8))
    analysis = analysed(tmp_path, lines, arm="optimizer", lower=("val_loss",))
    by_metric = {one.metric: one.verdict for one in analysis.comparisons}
    assert by_metric == {"Runtime": "identical", "val_loss": "better, not randomised"}
    assert ("metric left out", "'lr' has one value in each arm, so it is a setting") in analysis.missing


def test_a_run_that_has_not_finished_is_refused(tmp_path: Path) -> None:
    lines = wandb_export(losses({"adam": 1.0, "lion": 0.97}, 8), state="crashed")
    with pytest.raises(InputError, match="seed 0 of 'adam' has not finished: its 'State' is 'crashed'"):
        analysed(tmp_path, lines, arm="optimizer", lower=("val_loss",))


MLFLOW = (
    "run_id,experiment_id,status,artifact_uri,start_time,end_time,metrics.val_loss,metrics.hits,params.optimizer,"
    "params.seed,params.lr,tags.mlflow.user"
)


def test_an_export_of_mlflow(tmp_path: Path) -> None:
    """`mlflow experiments csv`: a row for each run; parameters are texts, metrics the last values."""
    lines = [MLFLOW]
    for arm, side in losses({"adam": 1.0, "lion": 0.97}, 8).items():
        for seed, value in enumerate(side):
            when = f"2026-01-0{seed + 1} 10:00:00.123000+00:00"
            hits = "" if seed == 2 else 5
            lines.append(
                f"{arm}{seed:03x},1,FINISHED,mlruns/1,{when},{when},{value},{hits},{arm},{seed},0.001,me"
            )
    analysis = analysed(tmp_path, lines, arm="optimizer", lower=("val_loss",))
    assert (only(analysis).metric, only(analysis).verdict) == ("metrics.val_loss", "better, not randomised")
    assert analysis.columns.pair == "params.seed"
    assert ("metric left out", "'metrics.hits' is empty (line 4)") in analysis.missing


def test_the_long_format_takes_the_last_step_and_says_so(tmp_path: Path) -> None:
    lines = ["arm,seed,metric,value,step"]
    for arm, side in losses({"a": 1.0, "b": 0.97}, 8).items():
        for seed, value in enumerate(side):
            lines += [f"{arm},{seed},loss,{value},100", f"{arm},{seed},loss,{9 - value},50"]
    analysis = analysed(tmp_path, lines, lower=("loss",))
    assert only(analysis).verdict == "better, not randomised"
    assert "the value at the last step in the column 'step' of a trial counts" in analysis.guesses[-1]


def test_nothing_is_written(tmp_path: Path) -> None:
    path = csv_file(tmp_path, rows(losses({"a": 1.0, "b": 0.97}, 8)))
    before = path.read_bytes()
    analyse_file(path, FileOptions(lower=("loss",)))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def noise(arms: int, seeds: int, random: np.random.Generator) -> list[str]:
    """Losses of arms that do not differ, on seeds that do."""
    levels = random.normal(0, 0.05, seeds)
    return rows(
        {
            f"arm{arm}": [float(x) for x in 2.3 * np.exp(levels + random.normal(0, 0.02, seeds))]
            for arm in range(arms)
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize(("arms", "seeds"), [(2, 6), (3, 10), (5, 12)])
def test_noise_is_called_better_in_at_most_five_percent(tmp_path: Path, arms: int, seeds: int) -> None:
    """A file counts if any of its arms is called better; the second figure adds those called worse."""
    random, files = np.random.default_rng(2026), 600
    better = either = 0
    for _ in range(files):
        analysis = analysed(tmp_path, noise(arms, seeds, random), lower=("loss",), margins={"loss": 1e-6})
        verdicts = {one.verdict for one in analysis.comparisons}
        better += "better, not randomised" in verdicts
        either += bool(verdicts & {"better, not randomised", "worse, not randomised"})
    assert better <= 0.05 * files
    assert either <= 0.05 * files + 2.58 * (files * 0.05 * 0.95) ** 0.5
