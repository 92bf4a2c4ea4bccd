"""`harness export`: the raw samples of a run, or its contrasts as a table for a paper or a README."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.analysis.csv_text import csv_text
from harness.analysis.frames import without_formulas
from harness.analysis.results import Analysis, Contrast
from harness.cli.console import CommandOutput
from harness.cli.tables import latex_text, markdown_cell
from harness.errors import InputError, did_you_mean
from harness.experiment import Experiment
from harness.metrics import metric
from harness.scoring.sentences import Sentences, signatures
from harness.store.pieces import in_parts
from harness.wording import effect_text, interval_text, level_text, number_text

FORMATS = ("csv", "parquet", "markdown", "latex")
_PARQUET_TYPES = {
    **dict.fromkeys(("trial", "seed", "round", "position", "session", "step"), "int64"),
    "value": "float64",
}
_PIECES_IN_A_GROUP = 5
COLUMNS = ("metric", "condition", "arm", "baseline", "value", "effect", "level", "interval", "n", "verdict")


def export_study(experiment: Experiment, form: str, file: Path | None, output: CommandOutput) -> None:
    """Write raw samples as CSV or Parquet, or contrasts as Markdown or LaTeX, to a file or to standard
    output.

    Raises InputError if there is no such format, or if the file cannot be written.
    """
    if form not in FORMATS:
        raise InputError(f"unknown format {form!r}", hint=did_you_mean(form, FORMATS))
    try:
        if form != "parquet":
            _write_text(experiment, form, file, output)
        elif file is None:
            raise InputError("Parquet cannot go to standard output", hint="give a file with --output")
        else:
            _write_parquet(experiment, file)
    except ImportError as error:
        raise InputError("Parquet needs pyarrow", hint="pip install 'transformer-harness[data]'") from error
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from error


def _write_text(experiment: Experiment, form: str, file: Path | None, output: CommandOutput) -> None:
    texts = _texts(experiment, form)
    first = next(texts)  # there are results, so the file may be replaced
    if file is None:
        for text in itertools.chain([first], texts):
            output.export(text)
    else:
        with file.open("w", encoding="utf-8", newline="\n") as written:
            written.writelines(itertools.chain([first], texts))


def _texts(experiment: Experiment, form: str) -> Iterator[str]:
    """The export in pieces: samples as they are read from the store, or all contrasts."""
    if form == "csv":
        for number, piece in enumerate(experiment.frame_pieces()):
            yield csv_text(without_formulas(piece), header=number == 0)
        return
    table = markdown_table if form == "markdown" else latex_table
    yield "\n".join(table(part.analysis, part.sentences.values()) for part in experiment.findings())


def _write_parquet(experiment: Experiment, file: Path) -> None:
    """Write samples as they are read from the store."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    pieces = experiment.frame_pieces()
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


def markdown_table(analysis: Analysis, written: Iterable[Sentences] = ()) -> str:
    """Contrasts as a Markdown table, followed by the signature of each score of the written texts."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(markdown_cell(cell) for cell in _cells(c)) + " |" for c in analysis.contrasts]
    lines += [f"\n{name}: `{signature}`" for name, signature in _signatures(written)]
    return "\n".join(lines) + "\n"


def latex_table(analysis: Analysis, written: Iterable[Sentences] = ()) -> str:
    """Contrasts as a LaTeX table (booktabs), followed by the signature of each score of the written texts."""
    rows = [
        " & ".join(latex_text(cell) for cell in _cells(contrast)) + r" \\" for contrast in analysis.contrasts
    ]
    head = " & ".join(latex_text(column) for column in COLUMNS) + r" \\"
    body = "\n".join([r"\toprule", head, r"\midrule", *rows, r"\bottomrule"])
    below = "".join(
        f"\n{latex_text(name)}: \\texttt{{{latex_text(signature)}}}\n"
        for name, signature in _signatures(written)
    )
    return f"\\begin{{tabular}}{{lllrrrrrrl}}\n{body}\n\\end{{tabular}}\n{below}"


def _signatures(written: Iterable[Sentences]) -> list[tuple[str, str]]:
    return [(name, signature) for name, known in signatures(written).items() for signature in known]


def _cells(contrast: Contrast) -> list[str]:
    condition = ", ".join(f"{factor}={level}" for factor, level in contrast.condition.items()) or "–"
    compared_by = metric(contrast.metric).compared_by
    numbers = [number_text(contrast.baseline_value), number_text(contrast.value)]
    effect = effect_text(contrast.effect, compared_by)
    interval = interval_text(contrast.low, contrast.high, compared_by)
    level = level_text(1 - contrast.alpha)
    cells = [contrast.metric, condition, contrast.arm, *numbers, effect, level, interval]
    return [*cells, str(contrast.n), contrast.verdict]
