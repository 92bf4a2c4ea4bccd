"""The digest of the code: every source file and its place moves it, caches and leftovers do not."""

from pathlib import Path

import pytest

from harness.machine.code_digest import code_digest


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a_package_to_digest"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('a digest imports nothing')")
    (folder / "code.py").write_text("x = 1")
    (folder / "templates" / "page.html").write_text("<p>")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def digest(package: Path) -> str:
    return code_digest((package.name,))


@pytest.mark.parametrize("name", ["code.py", "templates/page.html"])
def test_a_changed_source_file_changes_it(package: Path, name: str) -> None:
    before = digest(package)
    (package / name).write_text((package / name).read_text() + " ")
    assert digest(package) != before


def test_added_moved_and_removed_files_change_it(package: Path) -> None:
    digests = {digest(package)}
    (package / "migration.sql").write_text("select 1")
    digests.add(digest(package))
    (package / "migration.sql").rename(package / "templates" / "migration.sql")
    digests.add(digest(package))
    (package / "code.py").unlink()
    digests.add(digest(package))
    assert len(digests) == 4


def test_content_cannot_move_between_files_unseen(package: Path) -> None:
    (package / "a.py").write_text("one")
    (package / "b.py").write_text("two")
    before = digest(package)
    (package / "a.py").write_text("onetwo")
    (package / "b.py").write_text("")
    assert digest(package) != before


def test_caches_and_leftovers_do_not_count(package: Path) -> None:
    before = digest(package)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "code.py").write_text("")
    (package / "old.pyc").write_text("")
    (package / "code.py~").write_text("")
    (package / ".code.py.swp").write_text("")
    assert digest(package) == before


def test_a_copy_elsewhere_has_the_same_digest(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    before = digest(package)
    shutil.copytree(package, tmp_path / "elsewhere" / package.name)
    shutil.rmtree(package)
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    assert digest(package) == before


def test_the_order_of_the_packages_does_not_matter_and_a_module_is_a_package_too() -> None:
    assert code_digest(("models", "harness")) == code_digest()
    assert code_digest(("harness.errors",)) != code_digest(("harness.machine.code_digest",))


@pytest.mark.parametrize("name", ["no_such_package", "no_such.package"])
def test_an_unknown_package_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no package 'no_such"):
        code_digest((name,))
