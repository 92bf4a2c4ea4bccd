"""`harness plugins`: what was found of other packages, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from typing import Any

import harness.report.build
import harness.run.backends.registry
import harness.study.claims
import harness.tasks.registry
import harness.training.optim  # noqa: F401  with the others, all registries
from harness.cli.console import CommandOutput
from harness.plugins import PREFIX, REGISTRIES, Plugin, load_plugins, plugins


def show_plugins(output: CommandOutput) -> None:
    """One line for each part that a plug-in adds or that is refused."""
    rows = list(_rows())
    if not rows and not output.json:
        output.note("there are no plug-ins; docs/plugins.md says how to write one")
    output.table(rows, ["group", "name", "plugin", "package", "version", "refused"])


def _rows() -> Iterator[dict[str, Any]]:
    broken = load_plugins()
    offers = [offer for registry in REGISTRIES.values() for offer in registry.offers()]
    for plugin in plugins():
        parts = [offer for offer in offers if offer.plugin == plugin]
        if not plugin.group and plugin.name in broken:
            yield _row(plugin, "", plugin.name, broken[plugin.name])
        elif plugin.group and plugin.group not in REGISTRIES:
            groups = ", ".join(f"{PREFIX}{group}" for group in sorted(REGISTRIES))
            reason = f"there is no group {PREFIX}{plugin.group}; the groups are {groups}"
            yield _row(plugin, plugin.group, plugin.name, reason)
        elif not parts:
            yield _row(plugin, "", plugin.name, "it defines nothing that the harness can use")
        else:
            for offer in parts:
                yield _row(plugin, offer.group, offer.name, offer.refused)


def _row(plugin: Plugin, group: str, name: str, refused: str) -> dict[str, Any]:
    package = plugin.package or next(iter(packages_distributions().get(plugin.top, [])), "")
    return {
        "group": group or None,
        "name": name,
        "plugin": plugin.name if not plugin.group else f"{plugin.module}:{plugin.attribute}".rstrip(":"),
        "package": package or None,
        "version": plugin.version or (version(package) if package else None),
        "refused": refused or None,
    }
