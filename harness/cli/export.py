"""`harness export`: the raw samples of a run, or its contrasts as a table for a paper or a README."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.analysis.frames import without_formulas
from harness.analysis.results import Analysis, Contrast
from harness.cli.console import CommandOutput
from harness.cli.tables import latex_text, markdown_cell
from harness.errors import InputError, did_you_mean
from harness.experiment import Experiment
from harness.metrics import metric
from harness.scoring.sentences import Sentences, signatures
from harness.wording import effect_text, interval_text, level_text, number_text

FORMATS = ("csv", "parquet", "markdown", "latex")
COLUMNS = ("metric", "condition", "arm", "baseline", "value", "effect", "level", "interval", "n", "verdict")


def export_study(experiment: Experiment, form: str, file: Path | None, output: CommandOutput) -> None:
    """Write raw samples as CSV or Parquet, or contrasts as Markdown or LaTeX, to a file or to standard
    output.

    Raises InputError if there is no such format, or if the file cannot be written.
    """
    if form not in FORMATS:
        raise InputError(f"unknown format {form!r}", hint=did_you_mean(form, FORMATS))
    if form == "parquet" and file is None:
        raise InputError("Parquet cannot go to standard output", hint="give a file with --output")
    try:
        if form == "parquet":
            experiment.frame().to_parquet(file, index=False)
            return
        if form == "csv":
            text = without_formulas(experiment.frame()).to_csv(index=False)
        else:
            table = markdown_table if form == "markdown" else latex_table
            text = "\n".join(table(part.analysis, part.sentences.values()) for part in experiment.findings())
        if file is None:
            output.export(text)
        else:
            file.write_text(text, encoding="utf-8")
    except ImportError as error:
        raise InputError("Parquet needs pyarrow", hint="pip install 'transformer-harness[data]'") from error
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from error


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
