"""`harness runs`, and `--run` of the commands that read a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from harness.store.store import open_store
from tests.support.invented_runs import MACHINE, invent_run
from tests.support.program_study import put_program

PLANT = "cache-parity/no-offset"


@dataclass(frozen=True)
class Stored:
    """A folder with a study and its runs: a plain one, a variant, and one with other code on another machine
    and a planted bug.
    """

    folder: Path
    study: Path
    plain: str
    variant: str
    planted: str

    def asked(self, *words: str) -> Result:
        reports = ("--reports", str(self.folder / "reports")) if words[0] == "report" else ()
        return CliRunner().invoke(app, [*words, "--results", str(self.folder), *reports])

    def answer(self, *words: str) -> Any:
        done = self.asked(*words, "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    folder = tmp_path_factory.mktemp("runs")
    study = put_program(folder / "project")
    other = {**MACHINE, "cpu": "Other 1"}
    with open_store(folder / "harness.db") as store:
        plain = invent_run(store, study)
        variant = invent_run(store, study, "design.seeds=8", ratio=0.9)
        planted = invent_run(store, study, code="beef" * 16, machine=other, plant=PLANT, finish=False)
    return Stored(folder, study, plain.id, variant.id, planted.id)


def test_runs_are_listed_with_what_differs(stored: Stored) -> None:
    plain, variant, planted = stored.answer("runs", str(stored.study))
    assert [row["run"] for row in (plain, variant, planted)] == [stored.plain, stored.variant, stored.planted]
    assert plain["settings"] == {}
    assert variant["settings"] == {"design.seeds": {"plain": "6", "run": "8"}}
    assert (plain["plant"], planted["plant"]) == (None, PLANT)
    assert (planted["finished"], planted["planned"], planted["device"]) == (1, 12, "Other 1")
    assert plain["finished"] == 12


def test_the_table_says_it_in_short(stored: Stored) -> None:
    head, *lines = stored.asked("runs", str(stored.study)).stdout.splitlines()
    rows = [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]
    assert rows[1]["differs"] == "design.seeds=8"
    assert rows[2]["differs"] == f"planted bug {PLANT}"
    assert (rows[0]["trials"], rows[2]["trials"]) == ("12 of 12", "1 of 12")
    assert rows[2]["code"] == "beefbeef"


def test_a_study_of_which_only_the_store_knows_is_listed_by_its_name(stored: Stored) -> None:
    settings = [row["settings"] for row in stored.answer("runs", "mine")]
    assert settings == [{}, {"design.seeds": {"plain": "6", "run": "8"}}, {}]
    done = stored.asked("runs", "mien")
    assert done.exit_code == 2
    assert "the store has no run of a study 'mien'; did you mean 'mine'?" in done.stderr


def effects(answer: Any) -> dict[str, float]:
    return {claim["id"]: claim["effect"] for claim in answer["claims"]}


def test_a_run_is_shown_by_its_id_and_by_the_id_of_a_trial(stored: Stored) -> None:
    plain = stored.answer("show", "--run", stored.plain)
    variant = stored.answer("show", str(stored.study), "--run", stored.variant)
    assert (plain["run"], variant["run"]) == (stored.plain, stored.variant)
    assert effects(plain)["lower"] == pytest.approx(0.96, rel=1e-3)
    assert effects(variant)["lower"] == pytest.approx(0.9, rel=1e-3)
    trial = plain["trials"][0]["id"]  # the variant has it too, and is newer
    assert stored.answer("show", "--run", trial)["run"] != stored.plain
    assert stored.answer("show", trial, "--run", stored.plain)["run"] == stored.plain


def test_the_report_of_a_run_has_its_settings_and_overwrites_no_other_and_is_verified(stored: Stored) -> None:
    answer = stored.answer("report", "--run", stored.variant)
    path = Path(answer["report"])
    assert path.name == f"mine+design.seeds=8.run-{stored.variant}.html"
    assert "--set design.seeds=8" in path.read_text()
    done = stored.asked("verify", "--run", stored.variant)
    assert done.exit_code == 0, done.stderr
    assert f"numbers agree with the store ({stored.variant}, chain" in done.stdout
    other = stored.asked("verify", str(path), "--run", stored.plain)
    assert other.exit_code == 2
    assert f"this report is about run {stored.variant}, not {stored.plain}" in other.stderr


def test_a_run_whose_study_has_changed_is_judged_as_it_was_declared(stored: Stored, tmp_path: Path) -> None:
    changed = put_program(tmp_path, ("warmup: 0}", "warmup: 0, timeout: 50}"))
    done = stored.asked("show", str(changed), "--run", stored.variant)
    assert done.exit_code == 0
    assert f"measures something else today, so run {stored.variant} is judged as it was" in done.stderr
    same = stored.asked("show", str(stored.study), "--run", stored.variant)
    assert (same.stdout, same.stderr) == (done.stdout, "")


def test_the_samples_of_a_run_are_exported(stored: Stored) -> None:
    plain, variant = (stored.asked("export", "--run", run).stdout for run in (stored.plain, stored.variant))
    losses = [line for line in variant.splitlines() if ",val_loss," in line]
    assert len(losses) == 16
    assert plain != variant


@pytest.mark.parametrize("command", ["show", "report", "export", "verify"])
def test_an_unknown_run_is_refused_with_similar_ids(stored: Stored, command: str) -> None:
    wrong = f"{stored.plain[:-3]}zz{stored.plain[-1]}"
    done = stored.asked(command, "--run", wrong)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"no run and no trial '{wrong}'" in done.stderr
    assert stored.plain in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show",), "a study is missing"),
        (("report",), "a study is missing"),
        (("verify",), "a report is missing"),
        (("show", "--run", "PLAIN", "--set", "design.seeds=2"), "--run says the scale, the settings"),
        (("show", "kv_cache", "--run", "PLAIN"), "the run belongs to the study mine, and not to kv_cache"),
        (("verify", "--run", "PLANTED"), "no report of run"),
    ],
)
def test_what_does_not_fit_together_is_refused(stored: Stored, words: tuple[str, ...], message: str) -> None:
    ids = {"PLAIN": stored.plain, "PLANTED": stored.planted}
    done = stored.asked(*(ids.get(word, word) for word in words))
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
