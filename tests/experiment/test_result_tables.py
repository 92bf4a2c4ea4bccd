"""The results of a study in Python: tables with sources, units, regions and typed conditions, and figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

import harness
from harness.experiment.result_tables import results_html
from harness.experiment.stored_runs import run_experiment
from harness.store.store import open_store
from tests.support.invented_runs import invent_run
from tests.support.program_study import put_program

RATIO = "says: By 4 %., level: {warmup: 1000}, at: {length: 16}, ratio: 0.96, within: 1.02"
LENGTHS = (
    ('"{warmup}", "{seed}"], warmup: 0}', '"{warmup}", "{seed}", "{length}"], warmup: 0, length: 8}'),
    ("metrics:\n", "across: {length: [8, 16]}\nmetrics:\n"),
    ("claims:\n  lower: {", "claims:\n  lower: {at: {length: 8}, "),
    (
        "  higher:\n    {source: me,",
        f"  ratio: {{source: 001 §5, {RATIO}}}\n  higher:\n    {{source: me, at: {{length: 8}},",
    ),
)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> harness.Experiment:
    folder = tmp_path_factory.mktemp("results")
    study = put_program(folder, *LENGTHS)
    with open_store(folder / "harness.db") as store:
        run = invent_run(store, study)
    return run_experiment(harness.Workspace(results=str(folder)), run.id, str(study))


def test_a_verdict_has_its_source_its_unit_and_its_region(experiment: harness.Experiment) -> None:
    verdicts = experiment.verdicts().set_index("id")
    assert verdicts["source"].to_dict() == {"lower": "me", "ratio": "001 §5", "higher": "me"}
    assert verdicts["unit"].to_dict() == {"lower": "×", "ratio": "×", "higher": ""}
    assert verdicts["region"]["ratio"] == pytest.approx((0.96 / 1.02, 0.96 * 1.02))
    assert verdicts["region"][["lower", "higher"]].isna().all()
    assert verdicts["effect"]["ratio"] == pytest.approx(0.96, rel=1e-3)
    assert verdicts["verdict"]["ratio"] == "confirmed"


def test_a_contrast_has_the_levels_of_its_condition_with_their_types(experiment: harness.Experiment) -> None:
    contrasts = experiment.contrasts()
    assert list(contrasts.columns[:5]) == ["metric", "arm", "length", "source", "baseline_value"]
    losses = contrasts[contrasts["metric"] == "val_loss"]
    assert losses["length"].tolist() == [8, 16]
    assert (losses["value"] / losses["baseline_value"]).tolist() == pytest.approx([0.96, 0.96], rel=1e-3)
    assert set(losses["unit"]) == {"×"}
    assert set(losses["level"]) == {0.975}  # two contrasts share a family
    assert set(contrasts.loc[contrasts["metric"] == "score", "unit"]) == {""}


def test_a_contrast_has_the_sources_of_its_claims_and_the_region_that_does_not_matter(
    experiment: harness.Experiment,
) -> None:
    contrasts = experiment.contrasts()
    losses = contrasts[contrasts["metric"] == "val_loss"].set_index("length")
    assert losses["source"].to_dict() == {8: "me", 16: "001 §5"}
    for low, high in losses["region"]:
        assert low * high == pytest.approx(1)
    assert [high - 1 for _, high in losses["region"]] == pytest.approx(losses["margin"].tolist())
    scores = contrasts[contrasts["metric"] == "score"]
    assert scores["region"].tolist() == [(-margin, margin) for margin in scores["margin"]]
    assert set(contrasts.loc[contrasts["metric"] == "command_seconds", "source"]) == {""}


def test_conditions_of_samples_keep_their_types(experiment: harness.Experiment) -> None:
    frame = experiment.frame()
    assert pd.api.types.is_integer_dtype(frame["length"])
    assert sorted(frame["length"].unique()) == [8, 16]
    assert frame[frame["length"] > 8]["condition"].unique().tolist() == ['{"length":"16"}']


def test_the_figures_of_the_report_are_figures_of_matplotlib(experiment: harness.Experiment) -> None:
    figures = experiment.plot()
    title = "val loss compared with the baseline, over length"
    assert [type(panel) for panel in figures[title]] == [Figure]
    assert repr(figures).startswith(f"Figures of the report: {title} (1), ")
    assert figures._repr_html_().count("<img src=") == sum(map(len, figures.values()))
    assert len(figures) == len(set(figures))


def test_a_notebook_shows_the_question_the_answer_and_the_verdicts(experiment: harness.Experiment) -> None:
    page = experiment._repr_html_()
    assert "<strong>Does warm-up help?</strong>" in page
    assert experiment.analysis().answer in page
    assert "<td>confirmed</td>" in page
    assert repr(experiment) == "RunExperiment('mine', scale='cpu': 'Does warm-up help?')"
    assert repr(experiment.analysis()).endswith("3 claims, 8 contrasts)")
    assert len(repr(experiment.findings())) < 2000


def test_a_study_without_results_says_so_in_a_notebook(tmp_path: Path) -> None:
    study = put_program(tmp_path)
    workspace = harness.Workspace(results=str(tmp_path / "none"))
    page = harness.load(study, workspace=workspace)._repr_html_()
    assert page.startswith("<p><strong>Does warm-up help?</strong></p>\n<p>there are no results at ")


def test_texts_of_a_study_are_no_markup_in_a_notebook() -> None:
    assert results_html("<b>\x1b", (), "a & b") == "<p><strong>&lt;b&gt;\\x1b</strong></p>\n<p>a &amp; b</p>"
