"""Arms that wrote sentences of a known quality: each word equals the reference with a known probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis.analyse import analyse
from harness.analysis.frames import MemoryFrames, sample_frame
from harness.analysis.results import Analysis, Contrast
from harness.scoring.scores.translation import bleu
from harness.scoring.sentences import Sentences, StoredStatistics
from harness.store.rows import TrialRow
from harness.study.arms import arms, conditions
from harness.study.loaded import LoadedStudy, Study


def written_study(**changes: Any) -> LoadedStudy:
    document: dict[str, Any] = {
        "study": "written",
        "question": "Which writes best?",
        "task": "translate",
        "base": {},
        "compare": {"decoding": ["greedy", "beam", "wide"]},
        "primary": "bleu",
    }
    declared = Study.read(document | changes)
    return LoadedStudy(
        path=Path("studies/written.yaml"),
        source="",
        scale="cpu",
        study=declared,
        arms=arms(declared),
        conditions=conditions(declared),
        tasks={},
    )


@dataclass(frozen=True, kw_only=True)
class Written:
    """`right[level]` is the probability that a word equals the reference. All seeds have the same references,
    and all arms of a seed use the same random numbers.
    """

    right: Mapping[str, float]
    loaded: LoadedStudy = field(default_factory=written_study)
    count: int = 300
    spread: float = 0.0

    def sentences(self, level: str, seed: int) -> Sentences:
        luck = np.random.default_rng([seed, len(level)]).normal(0, self.spread)
        return _sentences(float(self.right[level] + luck), seed, self.count)

    def frames(self) -> MemoryFrames:
        rows: list[TrialRow] = []
        samples: list[tuple[int, str, int, float]] = []
        sentences: dict[int, Sentences] = {}
        design = self.loaded.study.design
        for round_ in range(1, design.rounds + 1):
            for seed in range(design.seeds):
                for arm in self.loaded.arms:
                    number = len(rows) + 1
                    rows.append(_row(number, arm.name, seed, round_))
                    sentences[number] = self.sentences(arm.names["decoding"], seed)
                    samples.append((number, "bleu", 0, sentences[number].statistics("bleu").corpus_score))
        return MemoryFrames(
            samples=sample_frame(rows, samples), trials=tuple(rows), checks=(), sentences=sentences
        )

    def analysis(self) -> Analysis:
        return analyse(self.loaded, self.frames())


@cache
def _sentences(right: float, seed: int, count: int) -> Sentences:
    words = np.random.default_rng(7).integers(500, size=(count, 12))
    wrong = np.random.default_rng([seed, 7]).random((count, 12)) > right
    references = [" ".join(f"w{word}" for word in row) for row in words]
    outputs = [
        " ".join("x" if bad else f"w{word}" for word, bad in zip(row, miss, strict=True))
        for row, miss in zip(words, wrong, strict=True)
    ]
    texts = tuple(references)
    return Sentences(
        sources=texts,
        references=texts,
        outputs=tuple(outputs),
        unseen=(0,) * count,
        scores={"bleu": StoredStatistics.from_statistics(bleu(outputs, references))},
    )


def _row(number: int, arm: str, seed: int, round_: int) -> TrialRow:
    return TrialRow(
        id=number,
        run_id="r",
        session_id=1,
        spec_id=f"s{number}",
        purpose="measure",
        task="translate",
        arm=arm,
        condition={},
        seed=seed,
        round=round_,
        position=number,
        attempt=1,
        state="finished",
        superseded_state=None,
        started_at="",
        seconds=1.0,
        spec_json="{}",
        outputs={},
        spent={},
        notes={},
        error=None,
        traceback=None,
        nvml_reason=None,
    )


def of_arm(analysis: Analysis, level: str) -> Contrast:
    return next(contrast for contrast in analysis.contrasts if contrast.arm == f"decoding={level}")


def with_sentences(frames: MemoryFrames, trial: int, **changes: Any) -> MemoryFrames:
    """The frames with changed sentences of one trial."""
    spoilt = replace(frames.sentences[trial], **changes)
    return replace(frames, sentences={**frames.sentences, trial: spoilt})
