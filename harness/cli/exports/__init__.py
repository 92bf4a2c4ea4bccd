"""`harness export`: the raw samples of a run, its contrasts as tables, its claims as macros, its figures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.csv_text import csv_text
from harness.analysis.frames import without_formulas
from harness.cli.console import CommandOutput
from harness.cli.exports.chosen import Chosen
from harness.cli.exports.json_file import json_export
from harness.cli.exports.latex import latex_table
from harness.cli.exports.macros import tex_macros
from harness.cli.exports.markdown import markdown_table
from harness.errors import InputError, did_you_mean
from harness.experiment import Experiment
from harness.store.pieces import in_parts

if TYPE_CHECKING:
    import pandas as pd

FIGURE_FORMATS = ("svg", "pdf")
FOLDER_FORMATS = (*FIGURE_FORMATS, "tensorboard")
"""Formats with several files, which are written into a folder."""

WHOLE_FORMATS = ("tex-macros", *FIGURE_FORMATS)
"""Formats that take no choice of metrics and conditions: claims and figures belong to the study."""

FORMATS = ("csv", "parquet", "json", "markdown", "latex", "tex-macros", *FOLDER_FORMATS)
_PARQUET_TYPES = {
    **dict.fromkeys(("trial", "seed", "round", "position", "session", "step"), "int64"),
    "value": "float64",
}
_PIECES_IN_A_GROUP = 5


def export_study(
    experiment: Experiment, form: str, file: Path | None, chosen: Chosen, output: CommandOutput
) -> None:
    """Write the run in a format to a file or to standard output, or into a folder.

    Raises InputError if there is no such format, if the run has not what was chosen, if a package is missing,
    or if the file cannot be written.
    """
    if form not in FORMATS:
        raise InputError(f"unknown format {form!r}", hint=did_you_mean(form, FORMATS))
    if form in WHOLE_FORMATS and not chosen.everything:
        raise InputError(f"--metric and --at do not apply to {form}, which has everything of the run")
    if not chosen.everything:
        chosen.check(experiment.findings())
    try:
        if form in FOLDER_FORMATS:
            _write_folder(experiment, form, file, chosen, output)
        elif form != "parquet":
            _write_text(experiment, form, file, chosen, output)
        elif file is None:
            raise InputError("Parquet cannot go to standard output", hint="give a file with --output")
        else:
            _write_parquet(experiment, file, chosen)
    except ImportError as error:
        package, extra = ("tensorboard", "tensorboard") if form == "tensorboard" else ("pyarrow", "data")
        hint = f"pip install 'transformer-harness[{extra}]'"
        raise InputError(f"the format {form} needs {package}", hint=hint) from error
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from error


def _write_folder(
    experiment: Experiment, form: str, folder: Path | None, chosen: Chosen, output: CommandOutput
) -> None:
    if folder is None:
        raise InputError(f"{form} has several files", hint="give a folder with --output")
    if form == "tensorboard":
        from harness.cli.exports.tensorboard import write_event_files

        paths: Iterable[Path] = write_event_files(_samples(experiment, chosen), folder)
    else:
        from harness.cli.exports.figures import write_figures

        paths = write_figures(experiment.findings(), form, folder)
    for path in paths:
        output.line(str(path))


def _write_text(
    experiment: Experiment, form: str, file: Path | None, chosen: Chosen, output: CommandOutput
) -> None:
    texts = _texts(experiment, form, chosen)
    first = next(texts)  # there are results, so the file may be replaced
    if file is None:
        for text in itertools.chain([first], texts):
            output.export(text)
    else:
        with file.open("w", encoding="utf-8", newline="\n") as written:
            written.writelines(itertools.chain([first], texts))


_TABLES: dict[str, Callable[..., str]] = {"markdown": markdown_table, "latex": latex_table}


def _texts(experiment: Experiment, form: str, chosen: Chosen) -> Iterator[str]:
    """The export in pieces: samples as they are read from the store, or all results at once."""
    if form == "csv":
        for number, piece in enumerate(_samples(experiment, chosen)):
            yield csv_text(without_formulas(piece), header=number == 0)
    elif form == "json":
        yield json_export(experiment.findings(), chosen)
    elif form == "tex-macros":
        yield tex_macros(experiment.findings())
    else:
        yield "\n".join(
            _TABLES[form](chosen.contrasts(part.analysis.contrasts), part.sentences.values())
            for part in experiment.findings()
        )


def _samples(experiment: Experiment, chosen: Chosen) -> Iterator[pd.DataFrame]:
    return map(chosen.rows, experiment.frame_pieces())


def _write_parquet(experiment: Experiment, file: Path, chosen: Chosen) -> None:
    """Write samples as they are read from the store."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    pieces = _samples(experiment, chosen)
    first = next(pieces)
    types = [(name, _PARQUET_TYPES.get(name, "large_string")) for name in first.columns]
    schema = pyarrow.schema(types)
    tables = (
        pyarrow.Table.from_pandas(piece, schema, preserve_index=False)
        for piece in itertools.chain([first], pieces)
    )
    with ParquetWriter(file, schema) as writer:
        for group in in_parts(tables, _PIECES_IN_A_GROUP):
            writer.write_table(pyarrow.concat_tables(group))
