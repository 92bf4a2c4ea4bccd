"""The corpora that a study reads: brought into the cache before anything runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.reference import FilesCorpus, HfCorpus, NamedCorpus, VectorsFile
from harness.experiment.studies import find_study
from harness.study.load import load_study, scales
from harness.study.loaded import LoadedStudy

if TYPE_CHECKING:
    from harness.data.reference import CorpusRef


def corpora_of(*parts: LoadedStudy) -> list[CorpusRef]:
    """Each once, in the order in which the arms of the parts name them."""
    found: dict[str, CorpusRef] = {}
    for task in (task for part in parts for task in part.tasks.values()):
        for reference in task.corpora():
            found.setdefault(reference.model_dump_json(), reference)
    return list(found.values())


def corpora_of_study(name: str) -> list[CorpusRef]:
    """Those of every scale of a study."""
    path = find_study(name)
    found = {
        ref.model_dump_json(): ref for scale in scales(path) for ref in corpora_of(*load_study(path, scale))
    }
    return list(found.values())


def check_installed(*parts: LoadedStudy) -> None:
    """Raises InputError where an arm of the parts, or the training of a model that it loads, needs what is
    not installed.
    """
    for task in (task for part in parts for task in part.tasks.values()):
        for each in (task, *task.trainings()):
            each.check_installed()


def check_texts(*parts: LoadedStudy) -> None:
    """Raises CorpusError where a corpus is too short for an arm of the parts, or for the training of a model
    that it loads.
    """
    asked = set()
    for task in (task for part in parts for task in part.tasks.values()):
        for each in (task, *task.trainings()):
            settings = each.model_dump_json(include=set(each.text_settings))
            if (each.name, settings) not in asked:
                asked.add((each.name, settings))
                each.check_text()


def bring(corpora: Iterable[CorpusRef], progress: Callable[[str, int, int], None]) -> list[dict[str, Any]]:
    """Fetch what is not here yet, and name the folder or files of each.

    `progress` gets a corpus, bytes done, bytes in all.
    """
    from harness.data.fetch import fetch

    rows: list[dict[str, Any]] = []
    for reference in corpora:
        if isinstance(reference, NamedCorpus):
            if any(row["corpus"] == reference.name for row in rows):
                continue  # a share of it, which comes with the whole
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
