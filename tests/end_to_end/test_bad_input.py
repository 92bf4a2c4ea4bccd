"""Mistakes of users: exit code 2, one line that says what is wrong and what to do, and nothing is written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from tests.end_to_end.workplace import RUN, Workplace
from tests.support.tiny_study import RECIPE, patched

NOBODY = 65534


@pytest.fixture
def here(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setenv("HARNESS_CACHE", str(workplace.cache))
    for name in ("HARNESS_STORE", "HARNESS_RESULTS", "HARNESS_REPORTS"):
        monkeypatch.delenv(name, raising=False)
    return workplace


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def folders(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_dir()}


def refused(workplace: Workplace, *arguments: str) -> str:
    """The error of a command, which must be one line. The command must not change any file."""
    before = tree(workplace.folder), folders(workplace.folder)
    done = CliRunner().invoke(app, list(arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    assert (tree(workplace.folder), folders(workplace.folder)) == before
    line: str = done.stderr
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    return line.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize("command", ["run", "plan", "report"])
def test_an_unknown_study(here: Workplace, command: str) -> None:
    line = refused(here, command, "tny")
    assert line == (
        "there is no study 'tny': neither this file nor studies/tny.yaml exists, "
        "and none of this name ships with the harness; did you mean 'tiny'?"
    )


@pytest.mark.parametrize("command", ["run", "plan", "report"])
def test_an_unknown_scale(here: Workplace, command: str) -> None:
    line = refused(here, command, "tiny", "--scale", "smok")
    assert "there is no scale 'smok' in this study" in line
    assert line.endswith("did you mean 'smoke'?")


def test_an_unknown_device(here: Workplace) -> None:
    line = refused(here, *RUN, "--device", "gpu7")
    assert line.startswith("there is no device 'gpu7'")
    assert "; known: auto, cpu" in line


def test_an_unknown_bug(here: Workplace) -> None:
    line = refused(here, *RUN, "--plant", "cache-parity/top-left-msk")
    assert line.startswith("'cache-parity/top-left-msk' is not a planted bug of an invariant of this study; ")
    assert "; did you mean 'cache-parity/top-left-mask'" in line


def test_a_store_that_is_not_a_database(here: Workplace) -> None:
    (here.folder / "notes.txt").write_text("not a database at all, " * 100)
    assert "notes.txt: this is not a SQLite database" in refused(here, *RUN, "--store", "notes.txt")
    assert "notes.txt: this is not a SQLite database" in refused(here, "list", "--store", "notes.txt")


def test_a_store_that_is_a_directory(here: Workplace) -> None:
    assert "studies: this is a directory, not a database" in refused(here, *RUN, "--store", "studies")


def test_a_store_of_an_unknown_kind(here: Workplace) -> None:
    assert "a store cannot be a database of the kind 'mysql'" in refused(
        here, *RUN, "--store", "mysql://host/database"
    )


@pytest.mark.parametrize("option", ["--results", "--reports"])
def test_a_file_where_a_folder_is_needed(here: Workplace, option: str) -> None:
    (here.folder / "occupied").write_text("mine")
    for target in ("occupied", "occupied/below"):
        line = refused(here, *RUN, option, target)
        assert line.startswith(f"cannot write in {target}: ")
        assert "occupied is not a folder" in line


def test_a_report_without_results(here: Workplace) -> None:
    line = refused(here, "report", "tiny", "--scale", "smoke")
    assert line == (
        "there are no results at results/harness.db; start with `harness run studies/tiny.yaml --scale smoke`"
    )


def test_a_corpus_and_a_study_together(here: Workplace) -> None:
    for arguments in ((), ("python-docs", "--study", "tiny")):
        assert refused(here, "data", "fetch", *arguments).startswith("give either a corpus or --study")


def test_an_unknown_corpus(here: Workplace) -> None:
    assert "did you mean 'wikitext-2'" in refused(here, "data", "fetch", "wikitext2")


def test_a_corpus_that_is_not_in_the_cache_without_a_network(
    here: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the corpus, the command for a machine with a network, and a corpus that needs none."""
    for recipe in here.folder.rglob("small.yaml"):
        recipe.write_text(recipe.read_text().replace("python-docs", "wikitext-2"))
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "empty"))
    line = refused(here, *RUN, "--quiet")
    assert "wikitext-2" in line
    assert "harness data fetch wikitext-2" in line
    assert "python-docs" in line


AS_NOBODY = f"""
import os, sys
from typer.testing import CliRunner
from harness.cli.app import app

for command in (["plan", *sys.argv[2:5]], [*sys.argv[1:], "--device", "none"]):
    CliRunner().invoke(app, command)  # everything is imported before it drops its rights
os.setuid({NOBODY})
done = CliRunner().invoke(app, sys.argv[1:])
print(done.exit_code, done.stderr, end="")
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="cli-permissions-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
@pytest.mark.parametrize("option", ["--results", "--reports"])
def test_a_folder_without_write_permission(here: Workplace, open_folder: Path, option: str) -> None:
    shutil.copytree(here.folder / "studies", open_folder / "studies")
    mine = open_folder / "mine"
    mine.mkdir()
    mine.chmod(0o777)
    allowed = {"--results": str(mine), "--reports": str(mine), option: str(open_folder / "new")}
    command = [
        sys.executable,
        "-P",
        "-c",
        AS_NOBODY,
        *RUN,
        *(word for pair in allowed.items() for word in pair),
    ]
    done = subprocess.run(
        command, check=False, cwd=open_folder, env=here.environment(), capture_output=True, text=True
    )
    assert done.stdout == (
        f"2 error: cannot write in {open_folder / 'new'}: permission denied; "
        "choose another folder or change its permissions\n"
    ), done.stderr
    assert sorted(path.name for path in open_folder.iterdir()) == ["mine", "studies"]
    assert list(mine.iterdir()) == []


OWN_TEXT = patched(
    RECIPE,
    ("python-docs", "{kind: files, files: [notes.txt]}"),
    ("evaluation_tokens: 256", "evaluation_tokens: 64"),
)
TRAINED = f"""\
study: trained
question: Does it train?
task: train
base:
{indent(OWN_TEXT, "  ")}compare:
  clip: [1.0, 2.0]
design: {{seeds: 1, exploratory: true}}
primary: validation_loss
"""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["base.optimizer.beta3=0.9"], "unknown key 'beta3' in optimizer; did you mean 'betas'?"),
        (["base.schedule.warmup=20"], "schedule.warmup 20 is longer than the run of 4 updates"),
        (["base.batch=5", "base.accumulate=2"], "batch 5 cannot be divided into 2 equal micro-batches"),
        (
            ["base.batch=500"],
            "but a batch takes 500; use a smaller batch, a shorter length or a larger",
        ),
        (["base.batch=124", "base.accumulate=2"], "windows of 32 tokens, but an update takes 124"),
    ],
    ids=["an option", "a schedule", "a batch", "a short corpus", "a corpus shorter than an update"],
)
def test_a_training_that_is_impossible(here: Workplace, settings: list[str], message: str) -> None:
    """`run` reads the corpus and refuses before it trains anything."""
    (here.folder / "studies" / "trained.yaml").write_text(TRAINED)
    (here.folder / "notes.txt").write_text("\n\n".join(f"Line {n} of some notes." for n in range(160)))
    words = [word for setting in settings for word in ("--set", setting)]
    assert message in refused(here, "run", "trained", "--quiet", *words)


def test_a_held_out_text_that_is_too_short_to_evaluate(here: Workplace) -> None:
    held_out = TRAINED.replace("files: [notes.txt]", "train: [notes.txt], valid: [one.txt]")
    (here.folder / "studies" / "trained.yaml").write_text(held_out)
    (here.folder / "notes.txt").write_text("\n\n".join(f"Line {n} of some notes." for n in range(160)))
    (here.folder / "one.txt").write_text("a")
    assert "the text to evaluate on has 1 tokens, but at least 2 are needed" in refused(
        here, "run", "trained", "--quiet"
    )


def test_a_recipe_whose_training_is_impossible(here: Workplace) -> None:
    for recipe in here.folder.rglob("small.yaml"):
        recipe.write_text(recipe.read_text().replace("batch: 4", "batch: 400000"))
    assert "but a batch takes 400000" in refused(here, *RUN, "--quiet")
