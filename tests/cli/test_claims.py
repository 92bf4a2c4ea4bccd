"""`harness claims`: ordered by source, the newest run without a planted bug of each study, scale
and device.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.cli.claims import BEGIN, END
from harness.machine.environment import Environment, environment
from harness.report.claims_ledger import read_ledger
from harness.run.identity import environment_digest
from harness.store.rows import Identity, Run, VerdictRow
from harness.store.store import Store, open_store
from harness.telemetry.nvml import Gpu
from tests.support.clock import JUMPS, set_clock

HERE = environment()


def make(
    store: Store,
    study: str,
    claims: dict[str, str],
    *,
    scale: str = "cpu",
    plant: str | None = None,
    here: Environment = HERE,
    gpu: str | None = None,
) -> Run:
    stated = {name: {"source": source, "says": f"{name}."} for name, source in claims.items()}
    return store.create_run(
        Identity(
            study_digest=study,
            scale=scale,
            code_digest="c0de",
            environment_digest=environment_digest(here, gpu),
            plant=plant,
        ),
        study=study,
        study_json=json.dumps({"study": study, "claims": stated}),
        study_source="",
        environment=here.model_dump(mode="json"),
        trials=[],
    )


def judged(claim: str, verdict: str = "confirmed", **changes: Any) -> VerdictRow:
    plain: dict[str, Any] = {
        "effect": 2.5,
        "low": 2.25,
        "high": math.inf,
        "n": 10,
        "claimed": 2.33,
        "reason": "So.",
    }
    return VerdictRow(claim=claim, verdict=verdict, code_digest="c0de", **plain | changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with open_store(tmp_path / "harness.db") as store:
        cache = make(store, "kv_cache", {"kv-speed": "001 §5", "kv-memory": "001 §5, 004"})
        written = {
            "effect": "2.5 ×",
            "interval": "2.25 × or more",
            "claimed": "2.33 × (region 1.86 to 2.91 ×)",
        }
        store.record_verdicts(
            cache, [judged("kv-speed", basis={"written": written}), judged("kv-memory", effect=None)]
        )
        store.record_verdicts(make(store, "amp", {"amp-memory": "000 §2"}), [judged("amp-memory", "refuted")])
        make(store, "empty", {"unheard": "003"})
        make(store, "silent", {})
    return tmp_path


def output_of(folder: Path, *options: str) -> str:
    done = CliRunner().invoke(app, ["claims", "--results", str(folder), *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_ledger_is_ordered_by_source(folder: Path) -> None:
    header, *lines = output_of(folder, "-q").splitlines()
    assert header.split("\t")[:4] == ["source", "claim", "study", "claimed"]
    assert [line.split("\t")[:3] for line in lines] == [
        ["Translation project, 000 §2", "amp-memory", "amp"],
        ["Language model report, 001 §5", "kv-speed", "kv_cache"],
        ["Language model report, 001 §5; Lecture notes, 004", "kv-memory", "kv_cache"],
    ]
    assert lines[1].split("\t")[3:8] == [
        "2.33 × (region 1.86 to 2.91 ×)",
        "2.5 ×",
        "2.25 × or more",
        "10",
        "confirmed",
    ]
    assert HERE.cpu in lines[1]


def test_the_json_is_a_contract(folder: Path) -> None:
    ledger = json.loads(output_of(folder, "--json"))
    assert set(ledger) == {"claims", "unjudged"}
    assert ledger["unjudged"] == ["empty"]
    speed = ledger["claims"][1]
    assert {
        key: speed[key]
        for key in ("effect", "low", "high", "claimed_figure", "n", "verdict", "ordinal", "scale")
    } == {
        "effect": 2.5,
        "low": 2.25,
        "high": "inf",
        "claimed_figure": 2.33,
        "n": 10,
        "verdict": "confirmed",
        "ordinal": 1,
        "scale": "cpu",
    }
    assert set(speed) == {
        "source",
        "claim",
        "says",
        "study",
        "verdict",
        "claimed",
        "ours",
        "interval",
        "n",
        "effect",
        "low",
        "high",
        "claimed_figure",
        "scale",
        "device",
        "date",
        "run",
        "ordinal",
        "judged",
        "earlier",
        "reason",
    }


@pytest.mark.parametrize("days", [0, *JUMPS])
def test_each_scale_and_device_shows_its_newest_run_without_a_planted_bug(
    folder: Path, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    gpu = Gpu(uuid="GPU-1", name="H200", memory_bytes=1, driver="1")
    other = HERE.model_copy(update={"gpus": (gpu,), "variables": {"B": "1", "A": "2"}})
    set_clock(monkeypatch, days)
    with open_store(folder / "harness.db") as store:
        again = make(store, "amp", {"amp-memory": "000 §2"})
        store.record_verdicts(again, [judged("amp-memory", "confirmed")])
        planted = make(store, "amp", {"amp-memory": "000 §2"}, plant="x/y")
        store.record_verdicts(planted, [judged("amp-memory", "invalid")])
        smoke = make(store, "amp", {"amp-memory": "000 §2"}, scale="smoke")
        store.record_verdicts(smoke, [judged("amp-memory", "undecided")])
        faster = make(store, "amp", {"amp-memory": "000 §2"}, here=other, gpu="GPU-1")
        store.record_verdicts(faster, [judged("amp-memory", "refuted")])
        entries = [entry for entry in read_ledger(store).claims if entry.study == "amp"]
        assert [(entry.verdict, entry.scale, entry.ordinal, entry.device) for entry in entries] == [
            ("confirmed", "cpu", 2, HERE.cpu),
            ("undecided", "smoke", 1, HERE.cpu),
            ("refuted", "cpu", 1, "H200"),
        ]


def test_a_store_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["claims", "--results", str(tmp_path / "none")])
    assert done.exit_code == 2
    assert "there are no results" in done.output


PAGE = f"# A page\n\n{BEGIN}\nold\n{END}\n\nThe rest.\n"


def rewritten(folder: Path, text: str) -> tuple[int, str, str]:
    """The exit code, standard error, and the text of the file after the command."""
    file = folder / "page.md"
    file.write_text(text)
    done = CliRunner().invoke(app, ["claims", "--results", str(folder), "--into", str(file)])
    return done.exit_code, done.stderr, file.read_text()


def test_the_table_is_written_between_the_markers_and_nothing_else_changes(folder: Path) -> None:
    code, _, text = rewritten(folder, PAGE)
    assert code == 0
    assert text.startswith(f"# A page\n\n{BEGIN}\n| study | claim |")
    assert text.endswith(f".\n{END}\n\nThe rest.\n")
    assert "old" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[1] for row in rows[1:]] == ["amp-memory", "kv-speed", "kv-memory"]
    assert "| 2.33 × (region 1.86 to 2.91 ×) | 2.5 × | 2.25 × or more | 10 | **confirmed** |" in rows[2]
    assert f"\nNewest runs: amp, kv_cache at scale cpu on {HERE.cpu}, 20" in text


def test_writing_the_table_again_changes_nothing(folder: Path) -> None:
    _, _, first = rewritten(folder, PAGE)
    code, message, second = rewritten(folder, first)
    assert (code, second) == (0, first)
    assert "unchanged" in message


def test_smoke_is_in_the_table_only_if_a_study_has_no_other_scale(folder: Path) -> None:
    with open_store(folder / "harness.db") as store:
        for study in ("amp", "small"):
            smoke = make(store, study, {"tried": "003"}, scale="smoke")
            store.record_verdicts(smoke, [judged("tried", "undecided", reason="a | b")])
    _, _, text = rewritten(folder, PAGE)
    assert text.count("| tried |") == 1
    assert "small at scale smoke" in text


def test_a_source_with_bars_and_line_breaks_stays_one_cell(folder: Path) -> None:
    with open_store(folder / "harness.db") as store:
        store.record_verdicts(make(store, "odd", {"it": "001 | 2\n3"}), [judged("it")])
    _, _, text = rewritten(folder, PAGE)
    assert "| odd | it | Language model report, 001 \\| 2 3 | it. |" in text


@pytest.mark.parametrize(
    "text",
    ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"],
    ids=["none", "no end", "wrong order", "twice"],
)
def test_a_file_without_its_two_markers_is_refused_and_left_alone(folder: Path, text: str) -> None:
    code, message, after = rewritten(folder, text)
    assert (code, after) == (2, text)
    assert "must contain the two markers" in message


def test_a_file_that_is_not_there_is_refused(folder: Path) -> None:
    done = CliRunner().invoke(app, ["claims", "--results", str(folder), "--into", str(folder / "none.md")])
    assert done.exit_code == 2
    assert "cannot read" in done.stderr


def test_the_document_of_claims_has_its_markers() -> None:
    text = (Path(__file__).parents[2] / "docs" / "claims.md").read_text(encoding="utf-8")
    assert (text.count(BEGIN), text.count(END)) == (1, 1)
