"""`harness claims`: source by source, the newest honest run of each study, scale and device."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.experiment.ledger import ledger
from harness.run.identity import environment_digest
from harness.store.rows import Identity, Run, VerdictRow
from harness.store.store import Store, open_store
from harness.telemetry.environment import Environment, environment
from harness.telemetry.nvml import Gpu

HERE = environment()


def make(
    store: Store, study: str, claims: dict[str, str], *, scale: str = "cpu", plant: str | None = None,
    here: Environment = HERE, gpu: str | None = None,
) -> Run:  # fmt: skip
    stated = {name: {"source": source, "says": f"{name}."} for name, source in claims.items()}
    return store.create_run(
        Identity(
            study_digest=study, scale=scale, code_digest="c0de", environment_digest=environment_digest(here, gpu),
            plant=plant,
        ),
        study=study, study_json=json.dumps({"study": study, "claims": stated}), study_source="",
        environment=here.model_dump(mode="json"), trials=[],
    )  # fmt: skip


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
def place(tmp_path: Path) -> Path:
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


def told(place: Path, *options: str) -> str:
    done = CliRunner().invoke(app, ["claims", "--results", str(place), *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_ledger_goes_by_source(place: Path) -> None:
    header, *lines = told(place, "-q").splitlines()
    assert header.split("\t")[:4] == ["source", "claim", "study", "claimed"]
    assert [line.split("\t")[:3] for line in lines] == [
        ["000 §2", "amp-memory", "amp"],
        ["001 §5", "kv-speed", "kv_cache"],
        ["001 §5, 004", "kv-memory", "kv_cache"],
    ]
    assert lines[1].split("\t")[3:8] == [
        "2.33 × (region 1.86 to 2.91 ×)", "2.5 ×", "2.25 × or more", "10", "confirmed",
    ]  # fmt: skip
    assert HERE.cpu in lines[1]


def test_the_json_is_a_contract(place: Path) -> None:
    found = json.loads(told(place, "--json"))
    assert set(found) == {"claims", "unjudged"}
    assert found["unjudged"] == ["empty"]
    speed = found["claims"][1]
    assert {key: speed[key] for key in ("effect", "low", "high", "claimed_figure", "n", "verdict", "ordinal", "scale")} == {
        "effect": 2.5, "low": 2.25, "high": "inf", "claimed_figure": 2.33, "n": 10, "verdict": "confirmed", "ordinal": 1,
        "scale": "cpu",
    }  # fmt: skip
    assert set(speed) == {
        "source", "claim", "says", "study", "verdict", "claimed", "ours", "interval", "n", "effect", "low", "high",
        "claimed_figure", "scale", "device", "date", "run", "ordinal", "reason",
    }  # fmt: skip


def test_the_newest_honest_run_of_each_scale_and_device(place: Path) -> None:
    gpu = Gpu(uuid="GPU-1", name="H200", memory_bytes=1, driver="1")
    other = HERE.model_copy(update={"gpus": (gpu,), "variables": {"B": "1", "A": "2"}})
    with open_store(place / "harness.db") as store:
        again = make(store, "amp", {"amp-memory": "000 §2"})
        store.record_verdicts(again, [judged("amp-memory", "confirmed")])
        planted = make(store, "amp", {"amp-memory": "000 §2"}, plant="x/y")
        store.record_verdicts(planted, [judged("amp-memory", "invalid")])
        smoke = make(store, "amp", {"amp-memory": "000 §2"}, scale="smoke")
        store.record_verdicts(smoke, [judged("amp-memory", "undecided")])
        faster = make(store, "amp", {"amp-memory": "000 §2"}, here=other, gpu="GPU-1")
        store.record_verdicts(faster, [judged("amp-memory", "refuted")])
        entries = [entry for entry in ledger(store).entries if entry.study == "amp"]
        assert [(entry.verdict, entry.scale, entry.ordinal, entry.device) for entry in entries] == [
            ("confirmed", "cpu", 2, HERE.cpu), ("undecided", "smoke", 1, HERE.cpu), ("refuted", "cpu", 1, "H200"),
        ]  # fmt: skip


def test_without_results_it_says_so(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["claims", "--results", str(tmp_path / "none")])
    assert done.exit_code == 2
    assert "there are no results" in done.output
