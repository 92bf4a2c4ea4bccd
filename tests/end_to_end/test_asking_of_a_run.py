"""What can be asked of a run that is there: show, export, list, and a new study beside it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import pytest

from harness.store.store import open_store
from harness.study.load import StudyFile, load_study
from tests.end_to_end.conftest import BaseRun

SMOKE = ("tiny", "--scale", "smoke")


def test_the_json_of_show_is_a_contract(base_run: BaseRun) -> None:
    done = base_run.workplace.asked("show", *SMOKE, "--json")
    answer = json.loads(done.stdout)
    parts = {"run", "plant", "progress", "trials", "claims", "warnings", "history", "chain"}
    assert set(answer) == {"study", "scale"} | parts
    assert (answer["study"], answer["scale"], answer["run"]) == (
        "tiny",
        "smoke",
        base_run.workplace.runs()[0].id,
    )
    assert len(answer["trials"]) == 15
    for trial in answer["trials"]:
        assert {"id", "arm", "condition", "seed", "round", "state", "attempts", "metrics"} <= set(trial)
        assert (trial["state"], trial["attempts"]) == ("finished", 1)
    measured = [trial for trial in answer["trials"] if trial["purpose"] == "measure"]
    assert all(trial["metrics"]["decode_tokens_per_second"] > 0 for trial in measured)
    claims = {claim["id"]: claim for claim in answer["claims"]}
    assert set(claims) == {"same", "fast", "grows", "bytes"}
    assert all(
        set(c) == {"id", "verdict", "effect", "low", "high", "n", "claimed", "reason"}
        for c in claims.values()
    )
    assert (claims["fast"]["claimed"], claims["fast"]["n"], claims["fast"]["verdict"]) == (
        2.0,
        2,
        "undecided",
    )
    assert claims["fast"]["effect"] > 0


def test_verdicts_and_the_report_are_in_the_store(base_run: BaseRun) -> None:
    claims = json.loads(base_run.workplace.asked("show", *SMOKE, "--json").stdout)["claims"]
    base_run.workplace.asked("report", *SMOKE)
    with open_store(base_run.workplace.database) as store:
        run = store.runs("tiny")[0]
        stored = {row.claim: (row.verdict, row.n, row.claimed, row.reason) for row in store.verdicts(run)}
        report = store.artifact("report", run.id)
    assert stored == {c["id"]: (c["verdict"], c["n"], c["claimed"], c["reason"]) for c in claims}
    page = base_run.workplace.folder / "reports" / "tiny.smoke.html"
    assert report is not None
    assert (report.path, report.sha256) == (str(page), hashlib.sha256(page.read_bytes()).hexdigest())


def test_what_has_not_run_is_planned(base_run: BaseRun) -> None:
    """The store has a run of this study at another scale alone."""
    done = base_run.workplace.asked("show", "tiny", "--scale", "least", "--json")
    assert done.exit_code == 2
    assert "there is no run of tiny at scale least" in done.stderr


def test_one_trial_with_everything_that_was_seen_of_it(base_run: BaseRun) -> None:
    trials = json.loads(base_run.workplace.asked("show", *SMOKE, "--json").stdout)["trials"]
    trial = next(trial for trial in trials if trial["round"] == 2 and trial["purpose"] == "measure")
    answer = json.loads(base_run.workplace.asked("show", trial["id"], "--json").stdout)
    values = [row["value"] for row in answer["samples"] if row["metric"] == "decode_tokens_per_second"]
    assert values == [trial["metrics"]["decode_tokens_per_second"]]
    assert len(answer["attempts"]) == 1
    assert answer["telemetry"][0]["rss_bytes"] > 0
    assert answer["telemetry"][0]["gpu_memory_bytes"] is None
    assert "decode_tokens_per_second" in base_run.workplace.asked("show", trial["id"]).stdout


def test_samples_leave_as_csv_and_parquet_alike(base_run: BaseRun, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", reason="Parquet needs the data extra")
    printed = base_run.workplace.asked("export", *SMOKE)
    rows = list(csv.DictReader(io.StringIO(printed.stdout)))
    assert {row["round"] for row in rows if row["purpose"] == "measure"} == {"1", "2"}
    file = tmp_path / "samples.parquet"
    assert (
        base_run.workplace.asked("export", *SMOKE, "--format", "parquet", "--output", str(file)).exit_code
        == 0
    )
    table = pandas.read_parquet(file)
    assert [repr(value) for value in table["value"]] == [repr(float(row["value"])) for row in rows]


@pytest.mark.parametrize(("form", "mark"), [("markdown", "|---|"), ("latex", r"\toprule")])
def test_the_comparison_leaves_as_a_table(base_run: BaseRun, form: str, mark: str) -> None:
    text = base_run.workplace.asked("export", *SMOKE, "--format", form).stdout
    assert mark in text
    contrasts = [line for line in text.splitlines() if "cache=dynamic" in line]
    assert any("decode" in line for line in contrasts)
    assert len({line.count("|" if form == "markdown" else " & ") for line in contrasts}) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "cvs"), "unknown format 'cvs'; did you mean 'csv'?"),
        (("--format", "parquet"), "Parquet cannot go to standard output; give a file with --output"),
        (("--output", "no/such/folder.csv"), "cannot write no/such/folder.csv: No such file or directory"),
    ],
)
def test_an_export_that_cannot_be(base_run: BaseRun, options: tuple[str, ...], message: str) -> None:
    done = base_run.workplace.asked("export", *SMOKE, *options)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"error: {message}\n")


def test_a_new_study_loads_and_is_never_overwritten(base_run: BaseRun, tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    made = base_run.workplace.asked("new", "mine", "--folder", str(folder))
    assert (made.exit_code, made.stdout) == (0, f"{folder}/mine.yaml\n")
    (loaded,) = load_study(folder / "mine.yaml")
    assert loaded.study.study == "mine"
    assert StudyFile(folder / "mine.yaml").scales == ("cpu", "smoke")
    before = (folder / "mine.yaml").read_text()
    again = base_run.workplace.asked("new", "mine", "--folder", str(folder))
    assert (again.exit_code, again.stderr) == (
        2,
        f"error: {folder}/mine.yaml already exists; choose another name\n",
    )
    assert (folder / "mine.yaml").read_text() == before
    assert base_run.workplace.asked("new", "My-Study", "--folder", str(folder)).exit_code == 2


def test_the_plan_estimates_from_what_ran(base_run: BaseRun) -> None:
    answer = json.loads(base_run.workplace.asked("plan", *SMOKE, "--json").stdout)
    assert answer["estimate"]["source"] == "from earlier runs"
    assert answer["arms"][1] == {"arm": "cache=dynamic", "differs_in": {"cache": ["none", "dynamic"]}}
    unseen = json.loads(base_run.workplace.asked("plan", "tiny", "--json").stdout)
    assert unseen["estimate"]["source"].startswith("estimated")
