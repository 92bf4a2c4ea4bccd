"""`harness run`, `report`, `export` and `show`: an experiment, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.cli.console import Output, Progress
from harness.errors import InputError, InvalidError, TrialError, did_you_mean
from harness.experiment import Experiment, Listener

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.inputs import ReportInput
    from harness.run.backends.base import Finished
    from harness.store.rows import Run
    from harness.trial.spec import TrialSpec

FORMATS = ("csv", "parquet", "markdown", "latex")


def run_study(experiment: Experiment, output: Output, *, fresh: bool, report: bool) -> None:
    """Run what is missing and write the report.

    Raises TrialError or InvalidError, after that, where something does not count.
    """
    with output.progress() as progress:
        experiment.run(fresh=fresh, listener=ProgressListener(output, progress))
    tell(experiment, output, report=report)


def tell(experiment: Experiment, output: Output, *, report: bool) -> None:
    """The verdicts, and the report where it is wanted."""
    found = experiment.judge()
    path = experiment.report(found) if report else None
    _print(found, path, output)
    see = f"see {path}" if path else None
    for problems, kind in ((_failed(found), TrialError), (_invalid(found), InvalidError)):
        if problems:
            count = f"{len(problems)} things do not count, first: " if len(problems) > 1 else ""
            raise kind(f"{count}{problems[0]}", hint=see)


def _failed(found: Sequence[ReportInput]) -> list[str]:
    return [f"{_named(part)}{line}" for part in found for line in part.run.failed]


def _invalid(found: Sequence[ReportInput]) -> list[str]:
    return [
        f"{_named(part)}{arm}: {reason}" for part in found for arm, reason in part.analysis.invalid.items()
    ]


def _named(part: ReportInput) -> str:
    return f"{part.loaded.part}: " if part.loaded.part else ""


def _print(found: Sequence[ReportInput], path: Path | None, output: Output) -> None:
    first = found[0].loaded
    if output.json:
        told = [_told(part) for part in found]
        whole = told[0] if len(told) == 1 else {"parts": told}
        output.data(
            {
                "study": first.name,
                "scale": first.scale,
                **whole,
                "report": str(path) if path else None,
            }
        )
        return
    if not output.quiet:
        output.line(first.study.question)
        for part in found:
            output.line(_named(part) + part.analysis.answer)
        rows = [{"claim": claim.id, **asdict(claim)} for part in found for claim in part.analysis.claims]
        output.table(rows, ["claim", "verdict", "effect", "interval", "claimed", "n"])
    if path is not None:
        output.line(f"report: {path}")


def _told(part: ReportInput) -> dict[str, Any]:
    return {
        **({"part": part.loaded.part} if part.loaded.part else {}),
        "run": part.run.id,
        "answer": part.analysis.answer,
        "claims": [claim.row() for claim in part.analysis.claims],
        "invalid": part.analysis.invalid,
        "failed": part.run.failed,
        "finished": part.run.finished_trials,
        "expected": part.run.expected_trials,
    }


def export_study(experiment: Experiment, form: str, file: Path | None, output: Output) -> None:
    """Raw samples as CSV or Parquet, or the comparison table as Markdown or LaTeX; to a file, or to standard
    output.
    """
    from harness.cli.tables import latex_table, markdown_table

    if form not in FORMATS:
        raise InputError(f"no format {form!r}", hint=did_you_mean(form, FORMATS))
    if form == "parquet":
        _write_parquet(experiment, file)
        return
    if form == "csv":
        text = experiment.frame().to_csv(index=False)
    else:
        table = markdown_table if form == "markdown" else latex_table
        text = "\n".join(table(part.analysis, part.sentences.values()) for part in experiment.findings())
    if file is None:
        output.line(text.rstrip("\n"))
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from error


def _write_parquet(experiment: Experiment, file: Path | None) -> None:
    if file is None:
        raise InputError("Parquet goes to a file", hint="name one with --output")
    try:
        experiment.frame().to_parquet(file, index=False)
    except ImportError as error:
        raise InputError("Parquet needs pyarrow", hint="pip install 'transformer-harness[data]'") from error
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from error


class ProgressListener(Listener):
    """Shows progress to a person, counted over all parts of a study."""

    def __init__(self, output: Output, progress: Progress) -> None:
        self._output, self._progress, self._corpus = output, progress, ""
        self._sizes: tuple[int, ...] = ()
        self._begun = self._done = self._end = 0

    def fetching(self, corpus: str, done: int, total: int) -> None:
        if corpus != self._corpus:
            self._corpus = corpus
            self._progress.begin(f"fetching {corpus}", total)
        self._progress.advance(done)

    def parts(self, sizes: tuple[int, ...]) -> None:
        self._sizes, self._begun = sizes, 0

    def begin(self, run: Run, *, todo: int, done: int) -> None:
        self._end = sum(self._sizes[: self._begun + 1])
        self._done = max(self._end - todo, sum(self._sizes[: self._begun]))
        self._begun += 1
        if todo:
            self._progress.begin(f"run {run.id}: {todo} trials to go, {done} done", sum(self._sizes))
        else:
            self._output.note(f"run {run.id}: all {done} trials are done")

    def trial(self, spec: TrialSpec) -> None:
        self._progress.advance(self._done, spec.title)

    def finished(self, spec: TrialSpec, finished: Finished) -> None:
        outcome = finished.outcome
        if outcome.status == "finished":
            self._done = min(self._done + 1, self._end)  # rounds run anew count once
            self._output.detail(f"{spec.title}: {finished.seconds:.2f} s")
        else:
            self._output.note(f"failed: {spec.title}: {outcome.error}")
        self._progress.advance(self._done, spec.title)

    def note(self, message: str) -> None:
        self._output.note(message)
