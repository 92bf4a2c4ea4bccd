"""What other packages, and modules that a person names with `--plugin`, add to the registries.

A registry is a mapping with everything that ships. It looks for plug-ins only when a name is asked for that
does not ship, or when all names are listed, so nothing is slower without plug-ins. A plug-in that cannot be
used is refused: that is recorded, and everything else works.

Named modules stand in the variable `HARNESS_PLUGINS`, which the processes of trials inherit.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from harness.errors import InputError, did_you_mean, message_line

PLUGINS_VARIABLE = "HARNESS_PLUGINS"
"""The modules that were named, as JSON: `[[module, folder], …]`. The folder is empty if none was needed."""

PREFIX = "harness."
"""How the names of the groups of entry points begin."""

T = TypeVar("T")
Named = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """An entry point of a package, or a module that was named, which counts for every group.

    `package` and `version` are those of the package, and empty if a module belongs to none.
    """

    name: str
    module: str
    attribute: str = ""
    group: str = ""
    package: str = ""
    version: str = ""

    @property
    def top(self) -> str:
        """The package or module whose source is the source of the plug-in."""
        return self.module.partition(".")[0]


@dataclass(frozen=True, kw_only=True)
class Offer(Generic[T]):
    """What a plug-in gives to a registry, or why it is refused."""

    plugin: Plugin
    group: str
    name: str
    value: T | None = None
    refused: str = ""


class RefusedError(Exception):
    """A plug-in cannot be used. The text says why."""


class Registry(Mapping[str, T]):
    """Everything of one kind by its name: what ships, and what plug-ins add under names that are free.

    `what` says what a plug-in must give, for people. `named` returns the name and the value of something that
    a plug-in defines, or None if it is not of this kind; it raises RefusedError if it is, but cannot be used.
    The first argument of `named` is the name of the entry point or of the attribute.
    """

    def __init__(
        self,
        group: str,
        shipped: Mapping[str, T],
        what: str,
        named: Callable[[str, Any], tuple[str, T] | None],
    ) -> None:
        self.group, self.shipped, self.what = group, shipped, what
        self._named = named
        self._read_for: object = None
        self._offers: tuple[Offer[T], ...] = ()
        REGISTRIES[group] = self

    def __getitem__(self, name: str) -> T:
        return self.shipped[name] if name in self.shipped else self.added()[name]

    def __iter__(self) -> Iterator[str]:
        yield from self.shipped
        yield from self.added()

    def __len__(self) -> int:
        return len(self.shipped) + len(self.added())

    def added(self) -> dict[str, T]:
        """What plug-ins add, by name."""
        return {offer.name: offer.value for offer in self.offers() if offer.value is not None}

    def offers(self) -> tuple[Offer[T], ...]:
        """All that plug-ins offer to this registry, also what is refused."""
        situation = (_named_modules(), tuple(sys.path))
        if self._read_for != situation:
            self._read_for, self._offers = situation, ()  # a plug-in that asks while it is imported gets none
            self._offers = tuple(self._read())
        return self._offers

    def hint(self, name: str) -> str:
        """What to do about a name that nothing has: why a plug-in is refused, or the nearest known name."""
        return self.refusal(name) or did_you_mean(name, self) or "if a plug-in has it, use --plugin MODULE"

    def refusal(self, name: str) -> str | None:
        """Why a plug-in that has this name is refused, or a module that may have it; None if neither is."""
        refused = [offer for offer in self.offers() if offer.refused]
        for offer in refused:
            if offer.name == name:
                return f"the plug-in {offer.plugin.name} is refused: {offer.refused}"
        for offer in refused:
            if not offer.plugin.group and offer.name == offer.plugin.name:
                return f"it may be in the plug-in {offer.plugin.name}, which is refused: {offer.refused}"
        return None

    def _read(self) -> Iterator[Offer[T]]:
        givers: dict[str, str] = {}
        for plugin in plugins():
            if plugin.group not in ("", self.group):
                continue
            try:
                parts = list(self._parts(plugin))
            except RefusedError as error:
                yield Offer(plugin=plugin, group=self.group, name=plugin.name, refused=str(error))
                continue
            for name, value in parts:
                reason = ""
                if name in self.shipped:
                    reason = f"the harness itself has {name!r} among its {self.group}"
                elif name in givers:
                    reason = f"{givers[name]} gives {name!r} already"
                givers.setdefault(name, plugin.name)
                given = None if reason else value
                yield Offer(plugin=plugin, group=self.group, name=name, value=given, refused=reason)

    def _parts(self, plugin: Plugin) -> Iterator[tuple[str, T]]:
        value = load_plugin(plugin)
        if not isinstance(value, ModuleType):
            part = self._named(plugin.name, value)
            if part is None:
                raise RefusedError(f"{plugin.module}:{plugin.attribute} is not {self.what}")
            yield part
            return
        parts = {
            id(member): part
            for attribute, member in vars(value).items()
            if not attribute.startswith("_") and self._defines(plugin, member)
            if (part := self._named(attribute, member)) is not None
        }
        if plugin.group and not parts:
            raise RefusedError(f"the module {plugin.module} has nothing that is {self.what}")
        yield from parts.values()

    def _defines(self, plugin: Plugin, member: Any) -> bool:
        """Whether the plug-in defines something, and did not only import it."""
        if isinstance(member, type):
            return member.__module__.partition(".")[0] == plugin.top
        return all(member is not shipped for shipped in self.shipped.values())


REGISTRIES: dict[str, Registry[Any]] = {}
"""The registries that were imported, by the group of their entry points."""


def plugins() -> tuple[Plugin, ...]:
    """All plug-ins: modules that were named, and then the entry points of installed packages. None of them is
    imported.
    """
    return (*_modules(_named_modules()), *_installed(tuple(sys.path)))


def load_plugin(plugin: Plugin) -> Any:
    """What a plug-in names: a module, or something in it. Raises RefusedError."""
    try:
        value: Any = import_module(plugin.module)
        for attribute in filter(None, plugin.attribute.split(".")):
            value = getattr(value, attribute)
    except (Exception, SystemExit) as error:  # it is the code of somebody else
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise RefusedError(f"it cannot be imported: {message_line(what)}") from error
    return value


def load_plugins() -> dict[str, str]:
    """Import every plug-in. Returns why a plug-in cannot be imported, by its name."""
    refused = {}
    for plugin in plugins():
        try:
            load_plugin(plugin)
        except RefusedError as error:
            refused[plugin.name] = str(error)
    return refused


def plugin_sources() -> dict[str, list[Path]]:
    """Where the source of each plug-in is, by its top-level name: folders, or one file. Plug-ins without a
    source, which are refused, have no entry. No plug-in is imported.
    """
    tops = sorted({plugin.top for plugin in plugins()} - {"harness"})
    sources = {top: _source(top) for top in tops}
    return {top: paths for top, paths in sources.items() if paths}


def _source(top: str) -> list[Path]:
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(folder) for folder in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin and spec.has_location else []


def use_plugins(modules: Sequence[str]) -> None:
    """From now on, this process and the workers that it starts use these modules as plug-ins, too.

    A module that Python does not find is searched in the working directory. A module that cannot be imported
    is refused, which is no error.
    """
    known = dict(_named_modules())
    for module in modules:
        if not module or not all(part.isidentifier() for part in module.split(".")):
            raise InputError(
                f"{module!r} is not the name of a module",
                hint="--plugin takes a name as `import` does, for example my_package.parts",
            )
        known.setdefault(module, _folder_of(module))
    os.environ[PLUGINS_VARIABLE] = json.dumps(list(known.items()))


@contextmanager
def using(modules: Sequence[str]) -> Iterator[None]:
    """In this context, the modules are plug-ins, too."""
    if not modules:
        yield
        return
    before = os.environ.get(PLUGINS_VARIABLE)
    use_plugins(modules)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(PLUGINS_VARIABLE, None)
        else:
            os.environ[PLUGINS_VARIABLE] = before


def _folder_of(module: str) -> str:
    """The working directory, if only it has the module; otherwise nothing."""
    top, here = module.partition(".")[0], Path.cwd()
    if _source(top) or not ((here / top).is_dir() or (here / f"{top}.py").is_file()):
        return ""
    return str(here)


def _named_modules() -> Named:
    return _parsed(os.environ.get(PLUGINS_VARIABLE, ""))


@cache
def _parsed(text: str) -> Named:
    """The modules that the variable names. Their folders can be imported from afterwards."""
    try:
        named = tuple((str(module), str(folder)) for module, folder in json.loads(text or "[]"))
    except (ValueError, TypeError):
        raise InputError(
            f"{PLUGINS_VARIABLE} is not valid", hint="remove the variable, and use --plugin"
        ) from None
    sys.path += [folder for folder in dict.fromkeys(dict(named).values()) if folder not in ("", *sys.path)]
    return named


def _modules(named: Named) -> Iterator[Plugin]:
    for module, _ in named:
        yield Plugin(name=module, module=module)


@cache
def _installed(path: tuple[str, ...]) -> tuple[Plugin, ...]:  # noqa: ARG001  where packages are searched
    """The entry points of all installed packages that are for the harness, in a fixed order."""
    installed = entry_points()
    groups = [group for group in installed.groups if group.startswith(PREFIX)]
    points = [_plugin(point) for group in groups for point in installed.select(group=group)]
    return tuple(sorted(points, key=attrgetter("group", "package", "name", "module")))


def _plugin(point: EntryPoint) -> Plugin:
    package = point.dist
    return Plugin(
        name=point.name,
        module=point.module,
        attribute=point.attr or "",
        group=point.group.removeprefix(PREFIX),
        package=package.name if package is not None else "",
        version=package.version if package is not None else "",
    )
