"""`harness.models` is the only import name of the model code, whatever else is called `models`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from harness.machine.code_digest import PACKAGE, code_digests
from tests.end_to_end.workplace import Workplace, copy_code

ROOT = PACKAGE.parent

NOTEBOOK = """\
import os

import plug_in
import harness
import harness.run.lease

harness.run.lease.NAME = os.environ["TEST_LEASE"]  # it waits for no other measurement on the machine
experiment = harness.load("tiny", scale="least", device="cpu").run()
print(harness.__file__)
print(dict(experiment.verdicts()[["id", "verdict"]].values))
plug_in.check()
"""

# A plug-in with a package `models` of its own; `sitecustomize` brings it into every process.
PLUG_IN = """\
import atexit, json, os, sys
from pathlib import Path

import models
from models.transformer import Transformer

def check():
    from harness.models.transformer import Transformer as ours
    assert Transformer == "somebody else's" and ours.__module__ == "harness.models.transformer"
    assert models.__file__.startswith(str(Path(__file__).parent))

def write_modules(kind):
    modules = {id(module): module for module in list(sys.modules.values())}  # one may have an alias
    files = [getattr(module, "__file__", None) for module in modules.values()]
    text = json.dumps([os.path.realpath(file) for file in files if file])
    Path(os.environ["MODULES"], f"{kind}-{os.getpid()}.json").write_text(text)

def watch_trials():
    from harness.trial.outcome import EventWriter

    finished = EventWriter.finished
    def finish(*arguments, **options):
        finished(*arguments, **options)
        check()
        write_modules("trial")
    EventWriter.finished = finish

if "harness.run.worker" not in sys.orig_argv:  # a trial is forked from its server, and has all its modules
    atexit.register(write_modules, "parent")
watch_trials()
"""


@pytest.fixture(scope="session")
def installed_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip has installed a wheel of this clone into."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel")
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("a wheel is built from a clone")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    install = ["install", "--no-index", "--no-deps", "--no-compile", "--target", str(folder / "site")]
    subprocess.run(
        [sys.executable, "-m", "pip", *install, str(wheel)], check=True, capture_output=True, text=True
    )
    return folder / "site"


@pytest.fixture(params=[pytest.param("clone", marks=pytest.mark.slow), "wheel"])
def code_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "wheel":
        return Path(request.getfixturevalue("installed_wheel"))
    return copy_code(tmp_path / "clone")


def test_a_study_runs_beside_a_plug_in_that_has_models_of_its_own(
    code_folder: Path, corpus_cache: Path, tmp_path: Path
) -> None:
    """The foreign package comes first on the path, in the notebook and in its workers."""
    workplace = Workplace.make(tmp_path / "workplace", cache=corpus_cache, code=code_folder)
    shutil.rmtree(workplace.folder / "harness")  # a notebook has its folder on the path
    foreign = workplace.folder / "models"
    (foreign / "__init__.py").write_text("")
    (foreign / "transformer.py").write_text('Transformer = "somebody else\'s"')
    (workplace.folder / "plug_in.py").write_text(PLUG_IN)
    (workplace.folder / "sitecustomize.py").write_text("import plug_in")
    (workplace.folder / "modules").mkdir()

    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK],
        cwd=workplace.folder,
        env={
            **workplace.environment(),
            "PYTHONPATH": os.pathsep.join([str(workplace.folder), str(code_folder)]),
            "MODULES": str(workplace.folder / "modules"),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    package, verdicts = done.stdout.splitlines()
    assert package == str(code_folder / "harness" / "__init__.py")
    assert "'same': 'confirmed'" in verdicts
    kinds = Counter[str]()
    for file in (workplace.folder / "modules").iterdir():
        kinds[file.name.partition("-")[0]] += 1
        modules = Counter(json.loads(file.read_text()))
        assert modules[str(foreign / "__init__.py")] == 1
        twice = [path for path, count in modules.items() if count > 1]
        assert [path for path in twice if path.startswith((str(code_folder), str(foreign)))] == []
        assert modules[str(code_folder / "harness" / "__init__.py")] == 1
    assert kinds["parent"] == 1
    assert kinds["trial"] == len(workplace.trials())


def test_a_wheel_holds_the_models_as_files_and_has_the_digests_of_the_clone(installed_wheel: Path) -> None:
    models = installed_wheel / "harness" / "models"
    assert not models.is_symlink()
    assert (models / "transformer.py").read_bytes() == (ROOT / "models" / "transformer.py").read_bytes()
    assert not (installed_wheel / "models").exists()
    assert code_digests(installed_wheel / "harness") == code_digests()


@pytest.mark.parametrize("statement", ["import models", "from models.transformer import Transformer"])
def test_the_folder_cannot_be_imported_by_the_name_models(tmp_path: Path, statement: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", statement],
        env={**os.environ, "PYTHONPATH": str(copy_code(tmp_path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "ImportError: import harness.models instead" in done.stderr


def test_mypy_and_import_linter_follow_the_link() -> None:
    """They start from the package `harness` alone, and the model code must not escape them."""
    grimp = pytest.importorskip("grimp")
    modulefinder, options = pytest.importorskip("mypy.modulefinder"), pytest.importorskip("mypy.options")
    files = [path.relative_to(PACKAGE).with_suffix("") for path in (PACKAGE / "models").glob("*.py")]
    expected = {".".join(("harness", *file.parts)) for file in files if file.name != "__init__"}
    assert len(expected) > 10
    assert expected <= grimp.build_graph("harness", cache_dir=None).modules
    path = modulefinder.SearchPaths((str(ROOT),), (), (), ())
    finder = modulefinder.FindModuleCache(path, None, options.Options())
    assert expected <= {source.module for source in finder.find_modules_recursive("harness")}


def test_the_studies_of_a_wheel_are_found_in_any_folder(installed_wheel: Path, tmp_path: Path) -> None:
    program = "import sys; from harness.cli import main; sys.argv[0] = 'harness'; main()"
    variables = {**os.environ, "PYTHONPATH": str(installed_wheel)}

    def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-c", program, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )

    listed = harness("list")
    assert listed.returncode == 0
    assert "\nkv_cache\tDoes a key-value cache" in listed.stdout
    assert f"{installed_wheel}/harness/studies has their files" in listed.stderr
    planned = harness("plan", "kv_cache", "--scale", "smoke", "--rows")
    assert (planned.returncode, planned.stdout[:8]) == (0, "position")
    assert list(tmp_path.iterdir()) == []
