"""Studies of a program, from the command to the report, in real processes."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from tests.support.program_study import SCRIPT, put_program

SECRET = "kanari3vogel"
LEFT = "checkpoint"

RESUMED = f"""\
[ -e {LEFT} ] && exit 3
touch {LEFT} $TMPDIR/{LEFT}
echo ran >> "$MINE/trials"
echo "exit 1" > "$MINE/project/train.sh"
env >&2
{SCRIPT}"""
"""It would go on from a checkpoint, it changes its own source, and it prints all of its variables."""


@dataclass(frozen=True)
class Project:
    """A folder with a study and its program. Its commands never read the configuration of a real user."""

    folder: Path
    printed: dict[str, Result] = field(default_factory=dict)

    def harness(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Result:
        given = {
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "XDG_CONFIG_HOME": str(self.folder.parent / "config"),
            "MINE": str(self.folder.parent),
            **(variables or {}),
        }
        with contextlib.chdir(self.folder), mock.patch.dict("os.environ", given):
            return CliRunner().invoke(app, list(arguments))

    def files(self) -> set[str]:
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*")}

    def trials(self) -> int:
        """How often the program ran."""
        file = self.folder.parent / "trials"
        return len(file.read_text().splitlines()) if file.exists() else 0


def new_project(folder: Path, *patches: tuple[str, str]) -> Project:
    inherit = ("warmup: 0}", "warmup: 0, inherit: [MINE]}")
    put_program(folder / "project", inherit, *patches, script=RESUMED)
    return Project(folder / "project")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """After a run, with what its command printed."""
    project = new_project(tmp_path_factory.mktemp("ran"))
    project.printed["run"] = project.harness("run", "mine", "--allow-commands", "--json", "-v")
    (project.folder / "train.sh").write_text(RESUMED)  # as it was before the run
    return project


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    return new_project(tmp_path)


def test_a_study_is_run_and_judged(ran: Project) -> None:
    """Although a trial would fail if it saw what another one left, or the source as it is now."""
    done = ran.printed["run"]
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["finished"], answer["expected"], answer["invalid"], answer["failed"]) == (12, 12, {}, [])
    assert {claim["id"]: claim["verdict"] for claim in answer["claims"]} == {
        "lower": "confirmed",
        "higher": "confirmed",
    }
    effects = {claim["id"]: claim["effect"] for claim in answer["claims"]}
    assert effects == {"lower": pytest.approx(0.96, rel=1e-3), "higher": pytest.approx(0.1)}
    assert ran.trials() == 12


def test_the_report_has_the_metrics_and_the_store_agrees(ran: Project) -> None:
    page = (ran.folder / "reports" / "mine.html").read_text()
    for text in ("val loss", "score", "rate", "command seconds", "nats", "Does warm-up help?"):
        assert text in page
    verified = ran.harness("verify", "reports/mine.html")
    assert verified.exit_code == 0, verified.stderr
    assert re.search(r"\d+ numbers agree with the store", verified.output)


def test_commands_that_show_a_run_run_nothing(ran: Project) -> None:
    before, trials = ran.files(), ran.trials()
    shown = ran.harness("show", "mine", "--json")
    assert {trial["state"] for trial in json.loads(shown.stdout)["trials"]} == {"finished"}
    exported = ran.harness("export", "mine")
    assert (exported.exit_code, "val_loss" in exported.output) == (0, True), exported.output
    assert "mine" in ran.harness("list").stdout
    claims = ran.harness("claims", "--json")
    assert [claim["verdict"] for claim in json.loads(claims.stdout)["claims"]] == ["confirmed"] * 2
    planned = json.loads(ran.harness("plan", "mine", "--json").stdout)
    assert planned["detectable"]["source"].startswith("as in run ")
    assert ran.trials() == trials
    assert ran.files() == before


def test_a_second_command_has_nothing_to_run(ran: Project) -> None:
    trials = ran.trials()
    again = ran.harness("run", "mine", "--allow-commands", "--json", "--no-report")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["run"] == json.loads(ran.printed["run"].stdout)["run"]
    assert ran.trials() == trials


def test_a_secret_of_the_user_is_nowhere(ran: Project) -> None:
    assert SECRET not in ran.printed["run"].output
    for path in ran.folder.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path


def test_a_run_belongs_to_the_files_with_which_it_began(ran: Project) -> None:
    """The program that was edited is another one, and the run that was made keeps its files."""
    script = ran.folder / "train.sh"
    [stored] = (ran.folder / "results" / "sources").iterdir()
    assert ran.harness("report", "mine").exit_code == 0
    assert (stored / "train.sh").read_text() == RESUMED
    try:
        script.write_text(f"{RESUMED}# edited\n")
        changed = ran.harness("report", "mine")
        assert changed.exit_code == 2
        assert "mine was changed after its last run" in changed.stderr
        verified = ran.harness("verify", "reports/mine.html")
        assert "the files of the program have changed" in verified.output
        assert verified.exit_code == 0, verified.output
    finally:
        script.write_text(RESUMED)
    assert ran.harness("show", "mine").exit_code == 0
    assert ran.trials() == 12


@pytest.mark.parametrize("command", [("run", "mine"), ("search", "mine", "--space", "warmup=0:1000")])
def test_a_study_of_a_program_needs_permission(fresh: Project, command: tuple[str, ...]) -> None:
    before = fresh.files()
    done = fresh.harness(*command)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "this study runs a program of its own: sh train.sh {warmup} {seed}" in done.stderr
    assert "use --allow-commands" in done.stderr
    assert (fresh.files(), fresh.trials()) == (before, 0)


def test_a_wrong_configuration_is_named(fresh: Project) -> None:
    file = fresh.folder.parent / "config" / "transformer-harness" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("allow_command = true\n")
    done = fresh.harness("run", "mine")
    assert done.exit_code == 2
    assert f"{file}: unknown setting 'allow_command'; did you mean 'allow_commands'?" in done.stderr.replace(
        "\n", ""
    )
    assert fresh.trials() == 0


def test_planning_listing_and_showing_write_and_run_nothing(fresh: Project) -> None:
    before = fresh.files()
    for command in (("plan", "mine"), ("list",), ("show", "mine"), ("report", "mine"), ("claims",)):
        assert fresh.harness(*command).exit_code in (0, 2)
    assert (fresh.files(), fresh.trials()) == (before, 0)


def test_a_program_that_does_not_exist_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    project = new_project(tmp_path, ("[sh, train.sh", "[no-such-shell, train.sh"))
    before = project.files()
    done = project.harness("run", "mine", "--allow-commands")
    assert (done.exit_code, project.files()) == (2, before)
    assert "there is no program 'no-such-shell'" in done.stderr


@pytest.mark.slow
def test_a_search_over_a_setting_of_a_program(tmp_path: Path) -> None:
    """The user's configuration allows programs. The loss is smallest where the warm-up is longest."""
    project = new_project(tmp_path)
    put_program(project.folder)
    file = project.folder.parent / "config" / "transformer-harness" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("allow_commands = true\n")
    options = ("--space", "warmup=0,500,900", "--sampler", "grid", "--trials", "3", "--json")
    done = project.harness("search", "mine", *options)
    assert done.exit_code == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["search"]["points"] == 3
    [best] = [point for name, point in answer["search"].items() if name not in ("run", "points", "begin")]
    assert (best["settings"], best["val_loss"]) == ({"warmup": 900}, pytest.approx(2.41, rel=1e-3))
    assert {claim["verdict"] for claim in answer["claims"]} == {"confirmed"}
    [report] = (project.folder / "reports").iterdir()
    verified = project.harness("verify", f"reports/{report.name}")
    assert verified.exit_code == 0, verified.output


@pytest.fixture(autouse=True)
def _other_commands_are_untouched() -> Iterator[None]:
    from harness.metrics import METRICS, known_metrics

    yield
    assert known_metrics() == dict(METRICS)
