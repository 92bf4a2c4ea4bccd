"""`harness declare`: a digest of all that a study declares."""

from __future__ import annotations

from dataclasses import asdict

from harness.cli.console import CommandOutput
from harness.experiment import Experiment
from harness.wording import count


def show_declaration(experiment: Experiment, output: CommandOutput) -> None:
    """Record the declaration and print its digest. With `--json`, also the content that the digest covers."""
    made = experiment.declare()
    declaration = made.declaration
    if output.json:
        output.data({**asdict(declaration), "claims": made.claims, "with_data": made.with_data})
        return
    output.line(declaration.digest)
    output.note(
        f"declared {declaration.study} at scale {declaration.scale} with {count(len(made.claims), 'claim')} "
        f"at {declaration.declared_at}"
    )
    if made.with_data:
        output.note("the store already holds data of this study, and the report will say so")
    else:
        output.note("the store holds no data of this study; commit the digest or send it before you run it")
