"""The corpora that a study reads. They are fetched into the cache before anything runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.data.files import check_files
from harness.data.reference import CorpusRef, FilesCorpus, HfCorpus, NamedCorpus, VectorsFile
from harness.experiment.workspace import find_study
from harness.study.load import StudyFile
from harness.study.loaded import LoadedStudy
from harness.tasks.base import Task


def corpora_of(*parts: LoadedStudy) -> list[CorpusRef]:
    """The corpora of all arms, without repetitions."""
    references: dict[str, CorpusRef] = {}
    for task in (task for part in parts for task in part.tasks.values()):
        for reference in task.corpora():
            references.setdefault(reference.model_dump_json(), reference)
    return list(references.values())


def corpora_of_study(name: str) -> list[CorpusRef]:
    """The corpora of a study at all of its scales."""
    file = StudyFile(find_study(name))
    return corpora_of(*(part for scale in file.scales for part in file.load(scale)))


def check_installed(*parts: LoadedStudy) -> None:
    """Raises InputError if an arm, or the training of a model that it loads, needs a package that is not
    installed.
    """
    for task in _tasks_and_trainings(*parts):
        task.check_installed()


def check_own_files(*parts: LoadedStudy) -> None:
    """Raises CorpusError if a file of the user's own text is missing, or has not the columns that it needs.
    Nothing but the first line of a file is read.
    """
    for reference in corpora_of(*parts):
        if isinstance(reference, FilesCorpus):
            check_files(reference)


def check_texts(*parts: LoadedStudy) -> None:
    """Raises CorpusError if a corpus is too short for an arm, or for the training of a model that
    it loads, and InputError if a metric that the study needs cannot measure its text.
    """
    checked = set()
    for task in _tasks_and_trainings(*parts):
        key = task.name, task.model_dump_json(include=set(task.text_settings))
        if key not in checked:
            checked.add(key)
            task.check_text()
    for part in parts:
        claimed = {getattr(claim, "metric", None) for claim in part.study.claims.values()}
        metrics = sorted({part.study.primary, *filter(None, claimed)})
        written = {
            task.model_dump_json(include={*task.text_settings, "score_tokenizer"} - {"decoding"}): task
            for task in part.tasks.values()
        }
        for task in written.values():
            task.check_scores(metrics)


def _tasks_and_trainings(*parts: LoadedStudy) -> Iterator[Task]:
    for part in parts:
        for task in part.tasks.values():
            yield task
            yield from task.trainings()


def fetch_corpora(
    corpora: Iterable[CorpusRef], progress: Callable[[str, int, int], None]
) -> list[dict[str, Any]]:
    """Fetch the corpora that are not in the cache. A row per corpus names its folder or files.

    `progress` gets the name of a corpus, the bytes fetched so far and all its bytes.
    """
    from harness.data.fetch import fetch

    rows: list[dict[str, Any]] = []
    for reference in corpora:
        if isinstance(reference, NamedCorpus):
            if any(row["corpus"] == reference.name for row in rows):
                continue  # two shares of the same corpus
            show = functools.partial(progress, reference.name)
            rows.append({"corpus": reference.name, "path": str(fetch(reference.name, progress=show))})
        elif isinstance(reference, FilesCorpus):
            rows.append(
                {
                    "corpus": "files",
                    "path": ", ".join(
                        str(Path(file).resolve()) for file in (*reference.files, *reference.train)
                    ),
                }
            )
        elif isinstance(reference, VectorsFile):
            rows.append({"corpus": "vectors", "path": str(Path(reference.file).resolve())})
        elif isinstance(reference, HfCorpus):
            from harness.data.corpus import load_corpus

            corpus = load_corpus(reference)
            for split in corpus.splits:
                corpus.sentences(split)
            rows.append({"corpus": reference.dataset, "path": "cache"})
    return rows
