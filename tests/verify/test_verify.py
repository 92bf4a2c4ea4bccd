"""An unchanged report follows from its store. Every change, in the page or in the store, is detected and
located.
"""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.errors import InputError, StoreError
from harness.machine.code_digest import code_digests
from harness.report.build import write_report
from harness.report.source import report_input
from harness.store.rows import CalibrationRow, Identity
from harness.store.store import open_store
from harness.study.load import load_study
from harness.study.planning.plan import plan
from harness.trial.outcome import Outcome, Sample
from harness.verify.html_pieces import pieces
from harness.verify.verify import Difference, Recomputed, Verification, compare, recompute, verify
from tests.analysis.written import Written
from tests.end_to_end.workplace import Workplace
from tests.support.clock import JUMPS, set_clock
from tests.support.tiny_study import writing_study
from tests.verify.conftest import Reported

WRITING = writing_study(prompts=40)


@pytest.fixture(scope="module")
def again(filled: Reported) -> Recomputed:
    """What the store gives for the report. It does not depend on the numbers and texts of the page."""
    page = filled.report.read_text(encoding="utf-8")
    return recompute(page, filled.report, str(filled.store))


def forged(filled: Reported, pattern: str, replacement: str) -> str:
    """The page, in which the first match of the pattern is replaced."""
    page = filled.report.read_text(encoding="utf-8")
    changed, count = re.subn(pattern, replacement, page, count=1)
    assert count == 1, f"nothing like {pattern} in the page"
    assert changed != page
    return changed


def difference(verification: Verification) -> Difference:
    assert verification.difference is not None, "the change was not detected"
    return verification.difference


def test_an_unchanged_report_passes(filled: Reported) -> None:
    verification = verify(filled.report, str(filled.store))
    assert verification.difference is None
    assert verification.runs == (filled.run,)
    assert verification.numbers > 500
    assert verification.notes == ()


@pytest.mark.parametrize(
    ("pattern", "replacement", "where"),
    [
        (r"(At this scale, on this device,[^<]*?)1\.(\d)", r"\g<1>9.\2", "fast"),
        (r"(<dt>measured</dt><dd><a[^>]*>)(\d)", r"\g<1>9\2", "fast, measured"),
        (r"(<dt>claimed</dt><dd>)2\b", r"\g<1>3", "fast, claimed"),
        (r"(</span> )(confirmed|undecided|refuted)", r"\1invalid", "Does a cache make generation faster?"),
        (r"(<b><a[^>]*>)1(\.\d+ ×</a></b>)", r"\g<1>2\2", "row cache=dynamic, column effect and interval"),
        (r"(pair-effect\" data-value=\"[\d.]+\">)1", r"\g<1>9", "row round 1, column arm ÷ baseline"),
        (r"(<tr id=\"trial-\d+\">.*?\">)\d([\d,.]* tokens/s<)", r"\g<1>0\2", "tokens per second"),
        (r"(<tr id=\"trial-\d+\">.*?<td class=\"number\">)\d([\d.]* m?s<)", r"\g<1>0\2", "column took"),
        (r"(<th scope=\"row\">work: new tokens</th><td>)\d", r"\g<1>0", "work: new tokens"),
        (r'(<span class="effect"><b>)1(\.\d+ ×)', r"\g<1>2\2", "Does a cache make generation faster?"),
        (r'(<circle class="dot" cx=")(\d)', r"\g<1>1\2", "Does a cache make generation faster?"),
        (r"(<text style[^>]*>)1(\.?\d*)", r"\g<1>3\2", "the figure"),
        (r"(<td class=\"number\">)64(</td>)", r"\g<1>65\2", "row"),
        (r"(<td>)(\d+\.\d{6})", r"\g<1>7\2", "column decode tokens per second"),
        (r"e{16}|c{16}", "d" * 16, "Method"),
        (r"Example 9000", "Example 9001", "row cpu"),
        (r"± 4 %", "± 5 %", "row decode tokens per second, column margin"),
    ],
)
def test_a_changed_number_or_verdict_is_detected_and_located(
    filled: Reported, again: Recomputed, pattern: str, replacement: str, where: str
) -> None:
    wrong = difference(compare(forged(filled, pattern, replacement), again))
    assert where in wrong.where
    assert wrong.reported != wrong.recomputed


def test_every_digit_of_the_text_is_compared(filled: Reported) -> None:
    """If the first digit of every text is another, every text with a digit is another piece."""
    page = filled.report.read_text(encoding="utf-8")
    start, end = page.index("<body>"), page.index("<script>")
    changed, count = re.subn(
        r"(?<=>)([^<]*?)(\d)", lambda match: f"{match[1]}{(int(match[2]) + 1) % 10}", page[start:end]
    )
    sides = zip(pieces(page), pieces(page[:start] + changed + page[end:]), strict=True)
    assert sum(ours.content != other.content for ours, other in sides) == count > 500


@pytest.mark.parametrize(
    "pattern",
    [
        r'(<path d="M ?)(\d)(?=[^"]*")',
        r'(href="data:application/gzip;base64,[^"]{200,}?)([A-Za-z])',
        r'(title="[^"]*?)(\d)(?=[^"]*")',
        r'(<td class="pair-effect" data-value=")(\d)',
    ],
)
def test_points_of_figures_downloads_and_hints_are_compared(
    filled: Reported, again: Recomputed, pattern: str
) -> None:
    verification = compare(forged(filled, pattern, r"\g<1>9"), again)
    assert difference(verification).reported.startswith("<")


def test_a_number_inserted_by_a_style_sheet_is_detected(filled: Reported, again: Recomputed) -> None:
    page = forged(filled, "</style>", "b::after { content: '9' }</style>")
    assert difference(compare(page, again))


def test_a_changed_script_is_detected(filled: Reported, again: Recomputed) -> None:
    page = forged(filled, '"use strict";', '"use strict"; document.title = "9";')
    assert difference(compare(page, again)).recomputed.startswith('"use strict";')


def test_a_removed_number_is_detected(filled: Reported, again: Recomputed) -> None:
    wrong = difference(compare(forged(filled, r"(<dt>n</dt><dd>)\d+(</dd>)", r"\1\2"), again))
    assert "n" in wrong.where


def test_a_command_that_would_run_another_study_is_detected(filled: Reported, tmp_path: Path) -> None:
    copy = filled.copy(tmp_path)
    page = copy.report.read_text(encoding="utf-8")
    page = page.replace("--set design.rounds=8", "--set design.rounds=9")  # in both commands
    copy.report.write_text(page, encoding="utf-8")
    wrong = difference(verify(copy.report, str(copy.store)))
    assert wrong.where == "the command that repeats the run"


def test_an_edited_study_file_changes_no_number_and_is_noted(filled: Reported) -> None:
    written = filled.study.read_text(encoding="utf-8")
    try:
        filled.study.write_text(written.replace("ratio: 2.0", "ratio: 9.5"), encoding="utf-8")
        verification = verify(filled.report, str(filled.store))
    finally:
        filled.study.write_text(written, encoding="utf-8")
    assert verification.difference is None
    assert "is missing or has changed" in verification.notes[0]


@pytest.mark.parametrize(
    "statement",
    [
        (
            "UPDATE samples SET value = value * 1.001"
            " WHERE metric = 'decode_tokens_per_second' AND attempt_id % 20 = 7"
        ),
        "UPDATE checks SET deviation = 3e-15",
        "UPDATE attempts SET spent = '{\"new_tokens\":17}' WHERE id = (SELECT max(id) FROM attempts)",
        'UPDATE environments SET facts = \'{"cores":4,"cpu":"Example 9000"}\'',
        "DELETE FROM samples WHERE attempt_id = (SELECT max(attempt_id) FROM samples)",
    ],
)
def test_a_changed_row_of_the_store_is_detected(filled: Reported, tmp_path: Path, statement: str) -> None:
    copy = filled.copy(tmp_path)
    connection = sqlite3.connect(copy.store)
    assert connection.execute(statement).rowcount >= 1
    connection.commit()
    connection.close()
    verification = verify(copy.report, str(copy.store))
    assert difference(verification).where
    assert verification.problems[0].startswith(f"run {filled.run}: the ")


def test_another_file_and_a_store_without_the_run_are_bad_input(filled: Reported, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>12</p>")
    with pytest.raises(InputError, match="not a report of the harness"):
        verify(page, str(filled.store))
    page.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        verify(page, str(filled.store))
    with pytest.raises(InputError, match="cannot read the report"):
        verify(tmp_path / "none.html", str(filled.store))
    with pytest.raises(StoreError, match=f"does not have the run {filled.run}"):
        verify(filled.report, str(tmp_path / "other.db"))


@pytest.mark.parametrize("days", [0, *JUMPS])
def test_a_later_session_without_trials_changes_nothing(
    filled: Reported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    """Such a session changes neither the provenance of the numbers nor the calibration of the report."""
    set_clock(monkeypatch, days)
    copy = filled.copy(tmp_path)
    (loaded,) = load_study(copy.study, "cpu", ("design.rounds=8", "margins.time=0.04"))
    with open_store(copy.store) as store:
        [run] = store.runs("tiny")
        store.record_calibration(
            CalibrationRow(environment_digest=run.environment_digest, facts={}, code_digest="c")
        )
        store.close_session(store.open_session(run, {"argv": ["harness", "report"], "load": [9.0, 9.0, 9.0]}))
        inputs = report_input(store, loaded, run)
    assert (inputs.calibration, inputs.provenance["load"]) == (None, [0.25, 0.5, 0.75])
    assert inputs.run.sessions == 2


def test_a_report_that_is_older_than_its_store_is_recognised(
    filled: Reported, again: Recomputed, tmp_path: Path
) -> None:
    """The head in the page is an earlier link of the chain."""
    copy = filled.copy(tmp_path)
    with open_store(copy.store) as store:
        [run] = store.runs("tiny")
        store.supersede(run, [store.trials(run)[-1].id])
    verification = verify(copy.report, str(copy.store))
    assert verification.problems == ()
    wrong = difference(verification)
    assert (wrong.where, wrong.reported) == ("the head of the chain", again.chains[0].head)
    assert wrong.recomputed.endswith(", after 1 more link")


def test_ids_are_computed_again_from_the_specifications(filled: Reported, tmp_path: Path) -> None:
    """If other code made the run, an id may differ for a good reason, which is noted."""
    copy = filled.copy(tmp_path)
    connection = sqlite3.connect(copy.store)
    connection.execute("UPDATE trials SET spec_json = replace(spec_json, '\"round\":1,', '\"round\":9,')")
    connection.commit()
    other_code = verify(copy.report, str(copy.store))
    assert any("other code gave" in note for note in other_code.notes)
    assert any("trials are not labelled as" in problem for problem in other_code.problems)
    connection.execute("UPDATE runs SET code_digest = ?", (code_digests().measuring,))
    connection.commit()
    connection.close()
    same_code = verify(copy.report, str(copy.store))
    assert "do not follow from their specifications" in same_code.problems[-1]


def test_the_command_prints_one_line_and_sets_the_exit_code(filled: Reported, tmp_path: Path) -> None:
    untouched = CliRunner().invoke(
        app, ["verify", str(filled.report), "--store", str(filled.store), "--json"]
    )
    assert (untouched.exit_code, json.loads(untouched.stdout)["verified"]) == (0, True)
    line = CliRunner().invoke(app, ["verify", str(filled.report), "--store", str(filled.store)]).stdout
    assert f"({filled.run}, chain {json.loads(untouched.stdout)['chains'][0]})" in line
    copy = filled.copy(tmp_path)
    page = copy.report.read_text(encoding="utf-8")
    copy.report.write_text(
        page.replace("<dt>claimed</dt><dd>2 ", "<dt>claimed</dt><dd>2.5 "), encoding="utf-8"
    )
    forged = CliRunner().invoke(app, ["verify", str(copy.report), "--store", str(copy.store)])
    assert forged.exit_code == 5
    assert "fast, claimed: the report says '2.5 ×" in forged.stderr
    edited = filled.copy(tmp_path)
    connection = sqlite3.connect(edited.store)
    connection.execute("UPDATE samples SET value = 3 * value")
    connection.commit()
    connection.close()
    changed_store = CliRunner().invoke(app, ["verify", str(edited.report), "--store", str(edited.store)])
    assert changed_store.exit_code == 5
    assert "the store was changed after it was written: run " in changed_store.stderr
    lost = CliRunner().invoke(app, ["verify", str(copy.report), "--store", str(tmp_path / "none.db")])
    assert (lost.exit_code, (tmp_path / "none.db").exists()) == (2, False)


def test_scores_and_texts_of_an_arm_that_writes_are_compared(tmp_path: Path) -> None:
    """Scores by group of sentences, examples and figures are computed from the stored sentences."""
    levels = {"greedy": 0.6, "beam": 0.66}
    workplace = Workplace.make(tmp_path, cache=tmp_path, code=tmp_path)
    workplace.study.write_text(WRITING)
    (loaded,) = load_study(workplace.study, "cpu")
    planted, report = Written(right=levels, count=40), tmp_path / "writing.html"
    with open_store(tmp_path / "harness.db") as store:
        specs = plan(loaded).trials
        run = store.create_run(
            Identity(study_digest="5" * 16, scale="cpu", code_digest="c" * 16, environment_digest="e" * 16),
            study="writing",
            study_json=loaded.study.model_dump_json(),
            study_source=loaded.source,
            environment={},
            trials=specs,
        )
        session = store.open_session(run, {})
        for position, spec in enumerate(specs):
            attempt = store.begin_trial(run, session, spec, position=position)
            outcome = Outcome(status="finished")
            if spec.purpose == "measure":
                written = planted.sentences(spec.arm.removeprefix("decoding="), 0)
                value = written.statistics("bleu").corpus_score
                outcome = Outcome(status="finished", samples=(Sample("bleu", 0, value),), sentences=written)
            store.finish_trial(attempt, outcome, seconds=1.0)
        store.close_session(session)
        write_report([report_input(store, loaded, run)], report)
    page = report.read_text(encoding="utf-8")
    again = recompute(page, report, str(tmp_path / "harness.db"))
    assert compare(page, again).difference is None
    for pattern, where in (
        (r'(<caption>BLEU by group.*?<td class="number">)(\d)', "BLEU by group of sentences"),
        (r'(<th scope="row">reference</th><td>w)(\d)', "row reference"),
    ):
        forged, count = re.subn(
            pattern, lambda match: f"{match[1]}{(int(match[2]) + 1) % 10}", page, count=1, flags=re.DOTALL
        )
        assert count == 1
        assert where in difference(compare(forged, again)).where


def test_a_report_that_was_judged_by_a_changed_study_is_verified(filled: Reported, tmp_path: Path) -> None:
    """The margin was changed after the run, so the store has two texts of the study."""
    copy = filled.copy(tmp_path)
    (changed,) = load_study(copy.study, "cpu", ("design.rounds=8", "margins.time=0.1"))
    with open_store(copy.store) as store:
        [run] = store.runs()
        write_report([report_input(store, changed, run)], copy.report)
        assert verify(copy.report, str(copy.store)).difference is not None
        store.record_study("tiny", changed.source, changed.study.model_dump_json())
    assert verify(copy.report, str(copy.store)).difference is None
