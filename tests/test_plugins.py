"""What plug-ins add, and why they are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.metrics import METRICS, derived_metrics, metric
from harness.plugins import (
    PLUGINS_VARIABLE,
    Registry,
    load_plugins,
    plugin_sources,
    plugins,
    use_plugins,
    using,
)
from harness.tasks.registry import TASKS, task_class
from harness.training.optim import OPTIMIZERS
from tests.support.plugins import METRIC, OPTIMIZER, importable, install, write_module

OF_MODULES = """
from harness.training.optim import AdamW, SGD, OptimizerSettings

from harness.metrics import METRICS

imported = METRICS["loss"]
_hidden = object()


class Unfinished(OptimizerSettings):
    kind: str = "unfinished"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for plug-ins that can be imported from."""
    monkeypatch.delenv(PLUGINS_VARIABLE, raising=False)
    with importable(tmp_path, "parts", "broken", "ends"):
        yield tmp_path


def refusals(registry: Registry[Any]) -> dict[str, str]:
    return {offer.name: offer.refused for offer in registry.offers() if offer.refused}


def test_without_plugins_there_is_only_what_ships() -> None:
    assert plugins() == ()
    assert plugin_sources() == {}
    assert dict(OPTIMIZERS) == dict(OPTIMIZERS.shipped)


def test_an_entry_point_adds_what_it_names(folder: Path) -> None:
    write_module(folder, "parts", OPTIMIZER, METRIC)
    install(
        folder,
        "my-parts",
        {"optimizers": "sign = parts:SignDescent", "metrics": "any = parts"},
        version="2.5",
    )
    assert OPTIMIZERS["sign"].__name__ == "SignDescent"
    assert {"sign", "adamw"} < set(OPTIMIZERS)
    assert metric("generalisation_gap").unit == "nats/token"
    assert {(plugin.group, plugin.package, plugin.version) for plugin in plugins()} == {
        ("optimizers", "my-parts", "2.5"),
        ("metrics", "my-parts", "2.5"),
    }
    assert plugin_sources() == {"parts": [folder / "parts.py"]}


def test_of_a_module_only_what_it_defines_counts(folder: Path) -> None:
    write_module(folder, "parts", OF_MODULES, OPTIMIZER, METRIC)
    with using(["parts"]):
        assert list(OPTIMIZERS.added()) == ["sign"]
        assert list(METRICS.added()) == ["generalisation_gap"]
        assert TASKS.added() == {}
        assert load_plugins() == {}
    assert "sign" not in OPTIMIZERS
    assert PLUGINS_VARIABLE not in os.environ


def test_names_that_exist_and_wrong_types_are_refused(folder: Path) -> None:
    write_module(folder, "parts", OPTIMIZER, METRIC)
    for name in ("loss", "generalisation_gap"):
        with (folder / "parts.py").open("a", encoding="utf-8") as file:
            file.write(f"\n{name}_ = __import__('dataclasses').replace(generalisation_gap, name={name!r})\n")
    install(
        folder,
        "my-parts",
        {
            "optimizers": "sign = parts:SignDescent\nother = parts:generalisation_gap",
            "metrics": "a = parts:generalisation_gap\nb = parts:generalisation_gap_\nc = parts:loss_",
            "tasks": "all = parts",
        },
    )
    assert list(OPTIMIZERS.added()) == ["sign"]
    assert refusals(OPTIMIZERS) == {
        "other": "parts:generalisation_gap is not a subclass of OptimizerSettings with a kind"
    }
    assert list(METRICS.added()) == ["generalisation_gap"]
    assert refusals(METRICS) == {
        "generalisation_gap": "a gives 'generalisation_gap' already",
        "loss": "the harness itself has 'loss' among its metrics",
    }
    assert METRICS["loss"].objective
    assert refusals(TASKS) == {"all": "the module parts has nothing that is a subclass of Task with a name"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def f(:", "SyntaxError: invalid syntax (broken.py, line 1)"),
        ("", "AttributeError: module 'broken' has no attribute 'Task'"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_a_study_that_needs_it_says_so(
    folder: Path, text: str, reason: str
) -> None:
    write_module(folder, "broken", text)
    write_module(folder, "parts", OPTIMIZER)
    install(folder, "a-broken", {"tasks": "mine = broken:Task"})
    install(folder, "parts", {"optimizers": "sign = parts"})
    assert "sign" in OPTIMIZERS
    with pytest.raises(InputError) as error:
        task_class("mine")
    assert str(error.value) == (
        f"unknown task 'mine'; the plug-in mine is refused: it cannot be imported: {reason}"
    )
    assert task_class("train").name == "train"


def test_a_name_that_only_a_broken_module_can_have_says_so(folder: Path) -> None:
    write_module(folder, "ends", "1 / 0")
    with using(["ends"]):
        assert load_plugins() == {"ends": "it cannot be imported: ZeroDivisionError: division by zero"}
        with pytest.raises(InputError, match=r"it may be in the plug-in ends, which is refused"):
            metric("mine")
    with pytest.raises(InputError, match=r"unknown task 'zzzz'; known: "):
        task_class("zzzz")


def test_a_plugin_that_lists_a_registry_while_it_is_imported_sees_what_ships(folder: Path) -> None:
    write_module(
        folder, "parts", "from harness.training.optim import OPTIMIZERS\nseen = list(OPTIMIZERS)", OPTIMIZER
    )
    with using(["parts"]):
        assert "sign" in OPTIMIZERS
        assert sys.modules["parts"].seen == list(OPTIMIZERS.shipped)


def test_a_module_in_the_working_directory_is_also_there_for_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setenv(PLUGINS_VARIABLE, "")
    monkeypatch.chdir(tmp_path)
    write_module(tmp_path, "parts_here", METRIC)
    use_plugins(["parts_here"])
    use_plugins(["parts_here", "json"])
    assert json.loads(os.environ[PLUGINS_VARIABLE]) == [["parts_here", str(tmp_path)], ["json", ""]]
    program = "from harness.metrics import METRICS; print(*METRICS.added())"
    run = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd="/", capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["generalisation_gap"]


@pytest.mark.parametrize("name", ["", "../parts", "parts.py/x", "a-b"])
def test_only_names_of_modules_are_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLUGINS_VARIABLE, "")
    with pytest.raises(InputError, match=r"is not the name of a module; --plugin takes a name"):
        use_plugins([name])


def test_a_derived_metric_belongs_to_what_records_all_that_it_needs(folder: Path) -> None:
    write_module(folder, "parts", METRIC)
    with using(["parts"]):
        assert [record.name for record in derived_metrics(["loss", "validation_loss"])] == [
            "generalisation_gap"
        ]
        assert derived_metrics(["loss"]) == []
        assert "generalisation_gap" in TASKS["train"].recorded()
        assert "generalisation_gap" not in TASKS["generate"].recorded()


def test_a_command_that_asks_for_no_plugin_looks_for_none() -> None:
    """So that it is not slower: packages are looked at once a name is missing, or all are listed."""
    program = (
        "import sys\n"
        "import harness.plugins\n"
        "def fail(): raise AssertionError\n"
        "harness.plugins.entry_points = fail\n"
        "import harness.cli.app\n"
        "from harness.metrics import metric\n"
        "from harness.training.optim import OPTIMIZERS\n"
        "from harness.tasks.registry import task_class\n"
        "metric('loss'), task_class('train'), OPTIMIZERS['adamw']\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
