"""Which backend runs trials: by the command line, or by a site profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.run.backends.profile import chosen_backend, profile_file
from harness.run.backends.ray_settings import RaySettings
from harness.run.backends.settings import LocalSettings
from tests.end_to_end.workplace import Workplace
from tests.support.plugins import importable, install, write_module

SITE = 'backend = "ray"\n\n[ray]\naddress = "head.site:6379"\n'
BACKEND = """
    from contextlib import nullcontext
    from typing import ClassVar

    from harness.run.backends.settings import BackendSettings


    class Queue(BackendSettings):
        \"\"\"Trials wait in a queue.\"\"\"

        name: ClassVar[str] = "queue"
        partition: str = "short"

        def opened(self, *, gpu, results):
            return nullcontext(None)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's profiles."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    made = tmp_path / "harness" / "profiles"
    made.mkdir(parents=True)
    return made


def test_without_a_choice_trials_run_here() -> None:
    assert chosen_backend() == LocalSettings()


def test_a_name_on_the_command_line_comes_before_that_of_the_profile(folder: Path) -> None:
    (folder / "site.toml").write_text(SITE)
    assert chosen_backend(profile="site") == RaySettings(address="head.site:6379")
    assert chosen_backend("ray", "site") == RaySettings(address="head.site:6379")
    assert chosen_backend("local", "site") == LocalSettings()
    assert chosen_backend("ray") == RaySettings(address="auto")


def test_a_profile_is_a_name_or_a_path(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "site.toml").write_text(SITE)
    assert profile_file("site") == folder / "site.toml"
    (tmp_path / "other.toml").write_text('[ray]\naddress = "auto"\n')
    monkeypatch.chdir(tmp_path)
    assert profile_file("other.toml") == Path("other.toml")
    assert chosen_backend(profile="./other.toml") == LocalSettings()
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(InputError, match=r"there is no profile .*/home/\.config/harness/profiles/site\.toml"):
        profile_file("site")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bakend = 'ray'", "there is no key 'bakend'; did you mean 'backend'?"),
        ("[pbs]\nqueue = 'x'", "there is no key 'pbs'; known: backend, local, ray, slurm"),
        ("[slurm]\nacount = 'x'", "there is no key 'slurm.acount'; did you mean 'account'?"),
        ("[slurm]\ntime = '4 hours'", "slurm.time: Input should be a valid integer"),
        ("[slurm]\nmost_jobs = 0", "slurm.most_jobs: Input should be greater than or equal to 1"),
        ("[ray]\nadress = 'x:1'", "there is no key 'ray.adress'; did you mean 'address'?"),
        ("[ray]\naddress = 6379", "ray.address: Input should be a valid string"),
        ("ray = 'x:1'", "'ray' is not a table; write [ray] and its keys below"),
        ("backend = 'rai'", "backend: unknown backend 'rai'; did you mean 'ray'?"),
        ("backend = 1", "backend is not the name of a backend"),
        ("backend =", "this profile cannot be read: Invalid value (at end of document)"),
        ("[local]\nslots = 2026-01-01", "there is no key 'local.slots'"),
    ],
)
def test_what_is_wrong_with_a_profile_is_one_line_with_its_file(
    folder: Path, text: str, message: str
) -> None:
    file = folder / "site.toml"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        chosen_backend(profile="site")
    assert str(error.value).startswith(f"{file}: {message}")
    assert error.value.exit_code == 2


def test_a_secret_in_a_profile_is_not_shown(folder: Path) -> None:
    (folder / "site.toml").write_text("[ray]\naddress = ['ray://me:sesame@head:10001']")
    with pytest.raises(InputError) as error:
        chosen_backend(profile="site")
    assert "sesame" not in str(error.value)


def test_a_profile_that_does_not_exist_has_the_nearest_name(folder: Path) -> None:
    (folder / "cluster.toml").write_text(SITE)
    with pytest.raises(InputError, match=r"there is no profile .*clutser\.toml; did you mean 'cluster'\?"):
        chosen_backend(profile="clutser")


def test_a_plugin_can_add_a_backend(folder: Path, tmp_path: Path) -> None:
    write_module(tmp_path, "queues", BACKEND)
    (folder / "site.toml").write_text('backend = "queue"\n[queue]\npartition = "long"\n')
    with importable(tmp_path, "queues"):
        install(tmp_path, "queues", {"backends": "queue = queues:Queue"})
        assert chosen_backend(profile="site").plain() == {"partition": "long"}
        (folder / "site.toml").write_text('[queue]\npartitoin = "long"\n')
        with pytest.raises(InputError, match=r"site\.toml: there is no key 'queue\.partitoin'"):
            chosen_backend(profile="site")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--backend", "rai"], "error: unknown backend 'rai'; did you mean 'ray'?"),
        (["--profile", "nowhere"], "error: there is no profile "),
    ],
)
@pytest.mark.parametrize("command", [["run", "tiny", "--scale", "smoke"], ["judge", "true", "true"]])
def test_a_wrong_choice_ends_a_command_before_anything_is_written(
    workplace: Workplace, options: list[str], message: str, command: list[str]
) -> None:
    before = sorted(workplace.folder.rglob("*"))
    done = workplace.asked(*command, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1
    assert sorted(workplace.folder.rglob("*")) == before
