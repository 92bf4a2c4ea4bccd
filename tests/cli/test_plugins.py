"""`harness plugins` and `--plugin`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.plugins import PLUGINS_VARIABLE
from tests.support.plugins import METRIC, OPTIMIZER, importable, install, write_module


def test_every_plugin_is_listed_with_its_package_or_the_reason_of_its_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PLUGINS_VARIABLE, raising=False)
    write_module(tmp_path, "parts", OPTIMIZER)
    write_module(tmp_path, "named", METRIC)
    write_module(tmp_path, "empty", "")
    install(
        tmp_path,
        "my-parts",
        {"optimizers": "sign = parts:SignDescent", "task": "x = parts", "claims": "y = gone:Claim"},
        version="0.3",
    )
    named = [option for name in ("named", "empty", "gone") for option in ("--plugin", name)]
    with importable(tmp_path, "parts", "named", "empty"):
        run = CliRunner().invoke(app, ["plugins", "--json", *named])
    assert run.exit_code == 0
    rows = {(row["plugin"], row["group"], row["name"]): row for row in json.loads(run.stdout)}
    sign = rows["parts:SignDescent", "optimizers", "sign"]
    assert (sign["package"], sign["version"], sign["refused"]) == ("my-parts", "0.3", None)
    assert rows["named", "metrics", "generalisation_gap"]["refused"] is None
    assert rows["empty", None, "empty"]["refused"] == "it defines nothing that the harness can use"
    assert "No module named 'gone'" in rows["gone", None, "gone"]["refused"]
    assert "No module named 'gone'" in rows["gone:Claim", "claims", "y"]["refused"]
    assert rows["parts", "task", "x"]["refused"].startswith(
        "there is no group harness.task; the groups are harness.backends, harness.claims,"
    )
    assert len(rows) == 6
    assert run.stderr.startswith("the plug-in gone is refused: it cannot be imported: ")


def test_without_plugins_the_list_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PLUGINS_VARIABLE, raising=False)
    assert json.loads(CliRunner().invoke(app, ["plugins", "--json"]).stdout) == []
    assert "there are no plug-ins" in CliRunner().invoke(app, ["plugins"]).stderr


def test_a_name_that_is_no_module_is_refused() -> None:
    run = CliRunner().invoke(app, ["plugins", "--plugin", "a/b"])
    assert (run.exit_code, run.stderr.startswith("error: 'a/b' is not the name of a module")) == (2, True)
