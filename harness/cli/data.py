"""`harness data`: the corpora, and bringing them here."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.console import Json, Output, Quiet, Verbose, command

app = typer.Typer(help="The corpora, and bringing them here.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
@command
def list_corpora(*, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """List the named corpora: origin, licence, splits, size, and whether each is in the cache."""
    from dataclasses import asdict

    from harness.data.fetch import corpora
    from harness.wording import format_bytes

    output = Output(json=json, quiet=quiet, verbose=verbose)
    rows = [asdict(info) for info in corpora()]
    columns = ["name", "kind", "splits", "size", "cached", "licence", "about"]
    if verbose:
        columns += ["origin", "attribution"]
    shown = (
        rows
        if json
        else [
            {**row, "size": format_bytes(row["bytes"]), "cached": "yes" if row["cached"] else "no"}
            for row in rows
        ]
    )
    output.table(shown, columns)


@app.command()
@command
def fetch(
    name: Annotated[str | None, typer.Argument(help="A corpus; `harness data list` names them.")] = None,
    *,
    study: Annotated[
        str | None, typer.Option(help="Fetch all that this study needs, at every scale.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Bring a corpus, or all that a study needs, into the cache: for machines whose compute nodes have no
    network.
    """
    from harness.cli.running import ProgressListener
    from harness.data.reference import NamedCorpus
    from harness.errors import InputError
    from harness.experiment.corpora import bring, corpora_of_study

    output = Output(json=json, quiet=quiet, verbose=verbose)
    if (name is None) == (study is None):
        raise InputError(
            "name a corpus, or a study with --study", hint="`harness data list` shows the corpora"
        )
    wanted = [NamedCorpus(name=_known(name))] if name is not None else corpora_of_study(str(study))
    with output.progress() as progress:
        rows = bring(wanted, ProgressListener(output, progress).fetching)
    output.table(rows, ["corpus", "path"])


def _known(name: str) -> str:
    from harness.data.catalogue import entry

    return entry(name).name
