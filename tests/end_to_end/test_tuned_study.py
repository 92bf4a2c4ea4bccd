"""A study that tunes its arms, from the command to the report, with real trainings."""

from __future__ import annotations

import json
import re

from typer.testing import CliRunner

import harness
from harness.cli.app import app
from harness.report.build import render
from harness.store.store import open_store
from harness.study.seeds import FIRST_TUNING_SEED
from tests.end_to_end.workplace import Workplace
from tests.support.tiny_study import TUNED

FEW = TUNED.replace("  seeds: 7\n", "  seeds: 2\n  exploratory: true\n").replace(
    "[1e-4, 1e-3, 1e-2]", "[1e-9, 1e-2]"
)


def test_each_arm_is_measured_at_its_best_and_the_report_tells_how_it_was_found(
    in_process: Workplace,
) -> None:
    """A rate of 1e-9 learns nothing, so 1e-2 it is, which is the edge of what was tried."""
    in_process.study.write_text(FEW)
    done = CliRunner().invoke(app, ["run", "tiny", "--json"])
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["finished"], answer["expected"], answer["invalid"]) == (16, 16, {})
    with open_store(in_process.database) as store:
        [run] = store.runs("tiny")
        rows = store.trials(run)
        metrics = {row.metric for row in store.samples(run)}
    tuning, measured = ([row for row in rows if row.purpose == purpose] for purpose in ("tune", "measure"))
    assert (len(tuning), len(measured)) == (8, 8)
    assert {row.seed for row in tuning} == {FIRST_TUNING_SEED}
    assert {json.loads(row.spec_json)["config"]["optimizer"]["lr"] for row in measured} == {1e-2}
    assert "validation_loss" in metrics
    [part] = harness.load(in_process.study).findings()
    assert {contrast.n for contrast in part.analysis.contrasts if contrast.metric == "validation_loss"} == {2}
    assert sum("is at the edge of what could be tried" in warning for warning in part.analysis.warnings) == 4
    assert answer["warnings"] == list(part.analysis.warnings)
    page = render(part)
    section = page[page.index('<section id="tuning">') :]
    section = section[: section.index("</section>")]
    assert f"seed {FIRST_TUNING_SEED}; if several were equal" in section
    assert "No verdict uses these seeds or trials." in section
    heads = re.findall(r'<th scope="col" class="number">(.*?)</th>', section)
    assert [re.sub("<[^>]*>", "", head) for head in heads] == ["lr 1e-09", "lr 0.01"]
    assert len(re.findall(r"<strong><span aria-label=\"chosen\">✓</span> \d", section)) == 4
    assert section.count("the best lr is at the edge of what could be tried") == 4
    again = CliRunner().invoke(app, ["run", "tiny", "--json"])
    assert json.loads(again.stdout)["finished"] == 16
    shown = json.loads(CliRunner().invoke(app, ["show", "tiny", "--json"]).stdout)
    assert [trial["purpose"] for trial in shown["trials"]] == ["tune"] * 8 + ["measure"] * 8
    assert {trial["state"] for trial in shown["trials"]} == {"finished"}
    assert shown["warnings"] == answer["warnings"]
    for command in ("run", "show"):
        printed = CliRunner().invoke(app, [command, "tiny"]).stderr
        assert all(f"warning: {warning}\n" in printed for warning in answer["warnings"])


def test_a_study_that_is_tuned_by_a_search_is_run_and_reported(in_process: Workplace) -> None:
    search = "    search: {space: {optimizer.lr: {low: 1e-9, high: 1e-1, log: true}}, points: 3}\n"
    in_process.study.write_text(FEW.replace("    grid:\n      optimizer.lr: [1e-9, 1e-2]\n", search))
    done = CliRunner().invoke(app, ["run", "tiny", "--json"])
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["finished"], answer["expected"], answer["invalid"]) == (20, 20, {})
    [part] = harness.load(in_process.study).findings()
    assert [len(arm.tried) for arm in part.loaded.tuned] == [3] * 4
    page = render(part)
    assert "Each arm had 3 candidates: the first one is the arm as the study declares it" in page
    again = CliRunner().invoke(app, ["run", "tiny", "--json"])
    assert json.loads(again.stdout)["run"] == answer["run"]
