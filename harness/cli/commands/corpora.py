"""`harness data`: the commands about corpora."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from harness.cli.console import CommandOutput
from harness.cli.options import PluginOptions, command
from harness.errors import InputError

data = typer.Typer(help="List corpora and download them.", no_args_is_help=True, rich_markup_mode=None)


@data.command("list")
@command
def list_corpora(*, options: PluginOptions, output: CommandOutput) -> None:  # noqa: ARG001
    """List the named corpora: splits, size, licence, and whether each is in the cache."""
    from harness.data.fetch import corpora
    from harness.wording import format_bytes

    rows = [asdict(info) for info in corpora()]
    if not output.json:
        for row in rows:
            row |= {"size": format_bytes(row["bytes"]), "cached": "yes" if row["cached"] else "no"}
    columns = ["name", "kind", "splits", "size", "cached", "licence", "about"]
    output.table(rows, [*columns, *(["origin", "attribution"] if output.verbose else [])])


@data.command()
@command
def fetch(
    name: Annotated[
        str | None, typer.Argument(help="A corpus; `harness data list` shows their names.")
    ] = None,
    *,
    study: Annotated[
        str | None, typer.Option(help="Fetch every corpus that this study needs, at all of its scales.")
    ] = None,
    options: PluginOptions,  # noqa: ARG001  the command has the plug-ins when it begins
    output: CommandOutput,
) -> None:
    """Download a corpus, or all corpora of a study, into the cache, so that a run needs no network."""
    from harness.cli.progress_listener import ProgressListener
    from harness.data.catalogue import entry
    from harness.data.reference import NamedCorpus
    from harness.experiment.corpora import corpora_of_study, fetch_corpora

    if (name is None) == (study is None):
        raise InputError(
            "give either a corpus or --study, and not both", hint="`harness data list` shows the corpora"
        )
    wanted = [NamedCorpus(name=entry(name).name)] if name is not None else corpora_of_study(str(study))
    with output.progress() as progress:
        rows = fetch_corpora(wanted, ProgressListener(output, progress).fetching)
    output.table(rows, ["corpus", "path"])
