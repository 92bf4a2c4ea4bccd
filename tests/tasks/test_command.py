"""The task `command`: its settings, and trials of it in real processes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from harness.errors import InputError
from harness.programs.source_tree import SourceTree
from harness.run.backends.local import LocalBackend
from harness.run.job import Job, TrialLimits
from harness.run.processes import has_ended
from harness.run.resources import limits_of
from harness.study.limits import DeclaredLimits
from harness.tasks.command import Command, check_seeds, wrong_setting
from harness.telemetry.nvml import NvmlReader
from harness.trial.causes import Cause
from harness.trial.outcome import Outcome
from harness.trial.spec import TrialSpec

LIMITS = TrialLimits(seconds=60.0, memory_bytes=2**40, output_bytes=2**20, idle_seconds=60.0)
SECRET = "kanari3vogel"


def task(*command: str, **settings: Any) -> Command:
    return Command.read({"command": list(command), "source": "0" * 16, **settings})


def test_settings_beside_the_command_are_those_of_the_program() -> None:
    mine = task("train", "--lr={lr}", "{seed}", lr=1e-3, environment={"A": "{fast}"}, fast=True)
    assert mine.settings == {"lr": 1e-3, "fast": True}
    assert wrong_setting(mine) is None
    assert Command.read(mine.plain()) == mine
    assert mine.uses_the_seed
    assert task("train", environment={"SEED": "{seed}"}).uses_the_seed
    assert not task("train", "{{seed}}").uses_the_seed


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"command": ["a", "{lr}"]}, ("command", 1), "there is no setting 'lr' for {lr}"),
        ({"command": ["a", "{lr}"], "lrs": 1}, ("command", 1), "did you mean 'lrs'?"),
        ({"command": ["a"], "environment": {"A": "{b}"}}, ("environment", "A"), "there is no setting 'b'"),
        ({"command": ["a", "{{lr}}"], "lr": 1}, ("lr",), "the command does not use the setting 'lr'"),
        ({"command": ["{seed}"], "seed": 1}, ("seed",), "{seed} has a meaning already"),
        ({"command": ["{python}"], "python": "x"}, ("python",), "{python} has a meaning already"),
        ({"command": ["a"], "warm-up": 1}, ("warm-up",), "'warm-up' cannot stand in braces"),
    ],
)
def test_a_setting_that_changes_nothing_or_does_not_exist(
    settings: dict[str, Any], path: tuple[str | int, ...], message: str
) -> None:
    wrong = wrong_setting(Command.read({"source": "0", **settings}))
    assert wrong is not None
    assert wrong[0] == path
    assert message in wrong[1]


@pytest.mark.parametrize(
    "settings",
    [
        {"command": []},
        {"command": "train"},
        {"command": ["a", "{"]},
        {"command": ["a"], "environment": {"A": "}"}},
        {"command": ["a"], "environment": {"A-B": "1"}},
        {"command": ["a"], "environment": {"HARNESS_SEED": "1"}},
        {"command": ["a"], "environment": {"A": 1}},
        {"command": ["a"], "inherit": ["HARNESS_DRIVER_FOLDER"]},
        {"command": ["a"], "timeout": 0},
        {"command": ["{lr}"], "lr": [1]},
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Command.read({"source": "0", **settings})


def test_commands_that_are_the_same_to_a_program() -> None:
    same = task("{python}", "{a}{b}", "{seed}", a=1, b=11)
    assert same.effect() == task("{python}", "{a}{b}", "{seed}", a=11, b=1).effect()
    assert same.effect() == task("{python}", "{c}", "{seed}", c="111").effect()
    assert same.effect() != task("{python}", "{a}{b}", "{seed}", a=1, b=12).effect()
    assert same.effect() != task("{python}", "111", "{{seed}}").effect()
    assert same.effect() != same.model_copy(update={"inherit": ("X",)}).effect()


def test_several_seeds_need_a_program_that_takes_them() -> None:
    check_seeds(task("a"), 1)
    check_seeds(task("a", "{seed}"), 8)
    with pytest.raises(InputError, match=r"the same run again; write \{seed\} into"):
        check_seeds(task("a"), 2)


def test_a_program_that_does_not_exist_is_noticed_before_anything_runs(tmp_path: Path) -> None:
    for program in ("no-such-program", "/no/such/program"):
        with pytest.raises(InputError, match=program):
            task(program).check_installed()
    (tmp_path / "tool").write_text("")
    (tmp_path / "tool").chmod(0o755)
    for mine in (task("sh"), task("{python}"), task("{tool}", tool="sh"), task("./of-the-source")):
        mine.check_installed()
    task("tool", environment={"PATH": "{folder}"}, folder=str(tmp_path)).check_installed()
    assert task("{tool}/run", tool="bin").program == "bin/run"


def test_the_timeout_is_the_limit_of_time_unless_the_design_has_one() -> None:
    mine, other = spec(task("a", timeout=5.0)), spec(task("a"))
    assert limits_of(mine, DeclaredLimits()).seconds == 5.0
    assert limits_of(mine, DeclaredLimits(time=7.0)).seconds == 7.0
    assert limits_of(other, DeclaredLimits()).seconds >= 60.0


def spec(mine: Command) -> TrialSpec:
    return TrialSpec(
        purpose="measure", task="command", arm="a", condition={}, seed=7, round=1, config=mine.plain()
    )


class Trials:
    """Runs shell scripts as trials, in one fork server."""

    def __init__(self, backend: LocalBackend, folder: Path) -> None:
        self.backend, self.folder = backend, folder
        program = folder / "program"
        program.mkdir()
        (program / "data.txt").write_text("data\n")
        self.tree = SourceTree.read(program)
        self.tree.store(folder / "sources")

    def run(self, script: str, *, limits: dict[str, Any] | None = None, **settings: Any) -> Outcome:
        command = ["/bin/sh", "-c", f"ulimit -c 0; {script}"]
        config = {"command": command, "source": self.tree.digest, "values": {"loss": {}}, **settings}
        values = config["values"].items()
        config["values"] = {name: {"kind": "json-lines", **output} for name, output in values}
        job = Job(
            spec=spec(Command.read(config)),
            events="",
            checkpoints={},
            threads=2,
            sources=str(self.folder / "sources"),
            limits=LIMITS.model_copy(update=limits or {}),
        )
        outcome = self.backend.submit(job).future.result(timeout=60).outcome
        assert not list(self.backend._scratch.folder.glob("*.files"))
        return outcome


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    with LocalBackend(nvml=NvmlReader()) as backend:
        yield Trials(backend, tmp_path_factory.mktemp("trials"))


def line(value: str, step: int | None = None) -> str:
    """What prints a value of the loss."""
    number = "" if step is None else f', "step": {step}'
    return f'echo \'{{{{"metric": "loss", "value": {value}{number}}}}}\''


def values(outcome: Outcome) -> list[tuple[int, float]]:
    assert outcome.status == "finished", outcome.error
    return [(sample.step, sample.value) for sample in outcome.samples if sample.metric == "loss"]


def test_a_trial_records_every_metric_and_its_time(trials: Trials) -> None:
    script = f'[ "$(cat data.txt)" = data ] && {line("2.5", 1)} && {line("2", 3)} && echo 7 > out.txt'
    places = {"loss": {}, "size": {"kind": "csv", "file": "out.csv", "column": "size"}}
    outcome = trials.run(f"{script} && printf 'size\\n7\\n8\\n' > out.csv", values=places)
    assert values(outcome) == [(1, 2.5), (3, 2.0)]
    assert [s.value for s in outcome.samples if s.metric == "size"] == [7.0, 8.0]
    [seconds] = [s.value for s in outcome.samples if s.metric == "command_seconds"]
    assert 0 < seconds < 60
    assert outcome.notes["threads"] == 2


def test_a_program_gets_its_seed_its_threads_and_a_temporary_folder(trials: Trials) -> None:
    script = "[ $HARNESS_SEED = 7 ] && [ $OMP_NUM_THREADS = 2 ] && [ -d $TMPDIR ] && [ {seed}{a}$A = 7xy ]"
    script += " && [ -z $(cat) ] && [ $PYTHONPATH = $PWD ]"
    assert values(trials.run(f"{script} && {line('1')}", a="x", environment={"A": "y"})) == [(0, 1.0)]


@pytest.mark.parametrize(
    ("script", "cause", "status", "error"),
    [
        ("echo no data >&2; exit 3", Cause.ERROR, "failed", "the program ended with exit code 3: no data"),
        ("kill -SEGV $$", Cause.SEGFAULT, "failed", "killed by SIGSEGV"),
        ("echo bad; kill -ABRT $$", Cause.CRASH, "failed", "killed by SIGABRT: bad"),
        ("kill -KILL $$", Cause.KILLED, "lost", "killed by SIGKILL"),
        ("kill -TERM $$", Cause.KILLED, "lost", "killed by SIGTERM"),
        ("kill -40 $$", Cause.KILLED, "lost", "killed by signal 40"),
        ("echo 'loss 2'", Cause.ERROR, "failed", "without an error, but with no value of loss"),
        (f"{line('1', 3)}; {line('1', 3)}", Cause.ERROR, "failed", "steps must increase"),
        (f"{line('1', 3)}; {line('1', 2)}", Cause.ERROR, "failed", "a value at step 2 after one at step 3"),
        (line("1", 2**63), Cause.ERROR, "failed", "which is too large"),
        (line("null"), Cause.ERROR, "failed", "'None' is not a number"),
        ("exec /no/such/program", Cause.ERROR, "failed", "exit code 127"),
    ],
)
def test_each_ending_has_its_cause(
    trials: Trials, script: str, cause: Cause, status: str, error: str
) -> None:
    outcome = trials.run(script)
    assert (outcome.status, outcome.cause) == (status, cause), outcome.error
    assert error in str(outcome.error)
    assert "\n" not in str(outcome.error)


def test_the_traceback_of_a_failure_is_what_the_program_printed(trials: Trials) -> None:
    failed = trials.run("echo first; echo 'ValueError: no data' >&2; exit 1")
    assert "first\nValueError: no data\n" in str(failed.traceback)
    missing = trials.run("echo 'loss is 2'")
    assert "The program printed last:\nloss is 2\n" in str(missing.traceback)


def test_nan_is_a_result(trials: Trials) -> None:
    [(step, value)] = values(trials.run(line("NaN")))
    assert step == 0
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("script", "limits", "cause"),
    [
        ("exec sleep 600", {"seconds": 0.3}, Cause.TIME_LIMIT),
        ("exec sleep 600", {"idle_seconds": 0.3}, Cause.HANG),
        ("trap '' TERM; while :; do :; done", {"seconds": 0.3}, Cause.TIME_LIMIT),
        ("exec yes 'a line of a flood that has no end'", {}, Cause.OUTPUT_LIMIT),
        (  # `tail` holds what it has read until its input ends
            "(head -c 600000000 /dev/zero; sleep 600) | tail -n 1",
            {"memory_bytes": 300 * 2**20},
            Cause.MEMORY_LIMIT,
        ),
    ],
    ids=["time", "idle", "time, deaf to SIGTERM", "output", "memory"],
)
def test_limits(trials: Trials, script: str, limits: dict[str, Any], cause: Cause) -> None:
    outcome = trials.run(script, limits=limits)
    assert (outcome.status, outcome.cause) == ("failed", cause), outcome.error
    assert len(str(outcome.traceback)) < 25_000


@pytest.mark.parametrize("ending", ["exit 0", "kill -KILL $$", "exec sleep 600"])
def test_what_a_program_has_started_ends_with_its_trial(trials: Trials, ending: str) -> None:
    """Also what has left its group and holds its outputs open."""
    pids = trials.folder / "pids"
    script = f"sleep 600 & echo $! > {pids}; setsid sleep 600 & echo $! >> {pids}; {line('1')}; {ending}"
    outcome = trials.run(script, limits={"seconds": 1.0})
    expected = {"exit 0": None, "kill -KILL $$": Cause.KILLED, "exec sleep 600": Cause.TIME_LIMIT}
    assert outcome.cause == expected[ending]
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    assert not [pid for pid in started if psutil.pid_exists(pid) and not has_ended(psutil.Process(pid))]


def test_no_trial_sees_what_another_one_left(trials: Trials) -> None:
    """A program that would go on from a checkpoint finds none, in its folder or in its temporary one."""
    script = f"[ ! -e checkpoint ] && [ ! -e $TMPDIR/checkpoint ] && {line('1')}"
    script += "; touch checkpoint $TMPDIR/checkpoint; echo changed > data.txt"
    assert values(trials.run(script)) == values(trials.run(script)) == [(0, 1.0)]
    assert SourceTree.read(trials.folder / "sources" / trials.tree.digest).digest == trials.tree.digest


def test_a_secret_of_the_user_is_not_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is inherited."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with LocalBackend(nvml=NvmlReader()) as backend:
        trials = Trials(backend, tmp_path)
        failed = trials.run("env; env >&2; exit 1")
        assert "HARNESS_SEED=7" in str(failed.traceback)
        assert SECRET not in f"{failed.error}{failed.traceback}"
        script = f'[ "$AWS_SECRET_ACCESS_KEY" = {SECRET} ] && {line("1")}'
        assert trials.run(script).status == "failed"
        assert values(trials.run(script, inherit=["AWS_SECRET_ACCESS_KEY"])) == [(0, 1.0)]


def test_all_rounds_share_one_server(trials: Trials) -> None:
    """Each trial is a new program, so a new server would only cost its start."""
    servers = []
    for _ in range(2):
        trials.backend.begin_round()
        assert trials.run(line("1")).status == "finished"
        servers.append({child.pid for child in psutil.Process().children()})
    assert servers[0] == servers[1]
