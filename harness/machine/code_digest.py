"""Two digests of the code: of what can change a measurement, and of what judges and prints. The source of a
plug-in can change a measurement.

Runs and trained models are known by the first one. A change of the second one, such as a correction in a
template of the report, therefore runs and trains nothing again.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.plugins import plugin_sources

PACKAGE = Path(__file__).resolve().parents[1]

MAY_JUDGE = frozenset(
    {
        "__init__.py",
        "__main__.py",
        "analysis",
        "calibrate",
        "cli",
        "doctor",
        "experiment",
        "gate",
        "imported",
        "report",
        "statistics",
        "study",
        "verify",
        "wording.py",
    }
)
"""Parts of the package that no measurement needs, except for the files in them that a measurement imports.

All other files can change a measurement, and so can every file of a part that is not listed here yet.
"""

_STUDIES = "studies"
"""The studies that ship: a folder, or a link to one, which may lead nowhere in a copy of the code."""

_NOT_SOURCE = (".pyc", ".pyo", "~", ".swp", ".orig")
_FROM = re.compile(
    r"^[ \t]*from[ \t]+harness([\w.]*)[ \t]+import[ \t]+(\((?:[^)#]|#.*)*\)|(?:[^\n\\]|\\\n)*)", re.MULTILINE
)
_WHOLE_MODULE = re.compile(r"^[ \t]*import[ \t]+harness\.([\w.]+)|[\"']harness\.([\w.]+)", re.MULTILINE)
_BY_COMPUTED_NAME = (b"import_module", b"iter_modules", b"walk_packages", b"__import__")
_MAY_NAME_A_JUDGE = re.compile(
    rf"harness(?:\s+import\b|\.(?:{'|'.join(part.removesuffix('.py') for part in MAY_JUDGE)})\b)".encode()
)


@dataclass(frozen=True)
class CodeDigests:
    """SHA-256 digests in hexadecimal. `judging` includes `measuring`, because judging uses that code, too."""

    measuring: str
    judging: str


def code_digests(package: Path = PACKAGE) -> CodeDigests:
    """The digests over the relative paths and contents of the package's files, templates and SQL included.

    The files of all plug-ins count as well. Nothing is imported and nothing is cached. Compiled files, hidden
    files, leftovers of editors and the studies that ship do not count. A clone and an installed wheel of the
    same code have the same digests.
    """
    contents = {name: (package / name).read_bytes() for name in sorted(source_files(package))}
    measuring = _measuring(contents)
    added = plugin_contents() if package == PACKAGE else {}
    first = _digest("", {**contents, **added}, {*measuring, *added})
    return CodeDigests(measuring=first, judging=_digest(first, contents, contents.keys() - measuring))


def measuring_files(package: Path = PACKAGE) -> frozenset[str]:
    """The files, relative to the package, that can change a measurement; all others judge and print."""
    return _measuring({name: (package / name).read_bytes() for name in source_files(package)})


def plugin_files() -> dict[str, Path]:
    """The source files of all plug-ins: of the package, or the module, that each of them is in."""
    files = {}
    for top, sources in plugin_sources().items():
        for source in sources:
            inside = source_files(source, left_out="") if source.is_dir() else (source.name,)
            folder = source if source.is_dir() else source.parent
            files.update({f"plug-in {top}: {name}": folder / name for name in inside})
    return files


def plugin_contents() -> dict[str, bytes]:
    return {name: file.read_bytes() for name, file in plugin_files().items()}


def plugins_digest() -> str:
    """The digest of the source of all plug-ins. It is empty if there are none."""
    contents = plugin_contents()
    return _digest("", contents, contents) if contents else ""


def _digest(start: str, contents: Mapping[str, bytes], names: Iterable[str]) -> str:
    digest = hashlib.sha256(start.encode())
    for name in sorted(names):
        digest.update(f"{name}\0{len(contents[name])}\0".encode())  # the length keeps files apart
        digest.update(contents[name])
    return digest.hexdigest()


def source_files(package: Path, left_out: str = _STUDIES) -> Iterator[str]:
    """The files of the package that count, relative to it. `left_out` is a name at its top."""
    outside = len(f"{package}/")
    for folder, subfolders, files in os.walk(package, followlinks=True):  # models is a link in a clone
        subfolders[:] = [name for name in subfolders if name != "__pycache__" and not name.startswith(".")]
        inside = f"{folder}/"[outside:]
        if not inside:
            subfolders[:], files = (
                [name for name in names if name != left_out] for names in (subfolders, files)
            )
        for name in files:
            if not name.startswith(".") and not name.endswith(_NOT_SOURCE):
                yield f"{inside}{name}"


def _measuring(contents: Mapping[str, bytes]) -> frozenset[str]:
    """Every file outside of `MAY_JUDGE`, and every file that these import, directly or indirectly."""
    measuring = {name for name in contents if name.partition("/")[0] not in MAY_JUDGE}
    pending, followed = [name for name in measuring if name.endswith(".py")], set[str]()
    while pending:
        name = pending.pop()
        if name in followed:
            continue
        followed.add(name)
        if _MAY_NAME_A_JUDGE.search(contents[name]):
            modules = set(_imported_modules(contents[name].decode(errors="replace"), contents))
            pending += modules
            measuring |= modules
            measuring.update(package for module in modules for package in _packages(module, contents))
        if any(way in contents[name] for way in _BY_COMPUTED_NAME):  # it may import any file beside it
            folder = f"{Path(name).parent}/"
            beside = [other for other in contents if other.startswith(folder) and other.endswith(".py")]
            pending += beside
            measuring.update(beside)
    return frozenset(measuring)


def _imported_modules(text: str, contents: Mapping[str, bytes]) -> Iterator[str]:
    """The files of this package that a Python text imports, lazily or not, or names in a string.

    A name that a package only passes on is taken for an import of the module that the name comes from.
    """
    for path, names in _imports_from(text):
        passed_on = _passed_on(_file_of(path, contents), contents)
        for name in names:
            module = _file_of(f"{path}/{name}", contents) or passed_on.get(name) or _file_of(path, contents)
            if module:
                yield module
    for pair in _WHOLE_MODULE.findall(text):
        parts = "".join(pair).strip(".").split(".")
        while parts and not (module := _file_of("/".join(parts), contents)):
            parts.pop()
        if parts:
            yield module


def _imports_from(text: str) -> Iterator[tuple[str, list[str]]]:
    """The path in the package and the imported names of each `from harness.… import …`."""
    for package, names in _FROM.findall(text):
        yield package.strip(".").replace(".", "/"), re.findall(r"\w+", re.sub(r"#.*", "", names))


def _packages(module: str, contents: Mapping[str, bytes]) -> Iterator[str]:
    """The `__init__.py` of every package that a file lies in, except that of the whole."""
    while folder := module.rpartition("/")[0]:
        module = folder
        if f"{folder}/__init__.py" in contents:
            yield f"{folder}/__init__.py"


def _file_of(path: str, contents: Mapping[str, bytes]) -> str:
    """The file of a module or package, or an empty text if there is none."""
    candidates = (f"{path}.py".lstrip("/"), f"{path}/__init__.py".lstrip("/"))
    return next((name for name in candidates if name in contents), "")


def _passed_on(init: str, contents: Mapping[str, bytes]) -> dict[str, str]:
    """The names that a package's `__init__.py` imports from modules, each with the file of its module."""
    if not init.endswith("__init__.py"):
        return {}
    imports = _imports_from(contents[init].decode(errors="replace"))
    return {name: _file_of(path, contents) for path, names in imports for name in names}
