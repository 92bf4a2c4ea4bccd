"""Reports of a study whose arms write texts: one part on quality, one on cost."""

from __future__ import annotations

from dataclasses import replace

from harness.report.inputs import ReportInput, ReportSamples
from harness.study.loaded import LoadedStudy
from harness.tasks.base import Task
from harness.tasks.translate import Translate
from tests.analysis.written import Written, written_study
from tests.report.synthetic import study, synthetic_report

RIGHT = {"greedy": 0.6, "beam": 0.66, "wide": 0.6}


def translators(loaded: LoadedStudy) -> LoadedStudy:
    """The study with a task for each arm: one translator, sampled at several temperatures."""
    train = {
        "corpus": "tatoeba-en-es",
        "tokenizer": {"kind": "bytes"},
        "batch": 4,
        "length": 64,
        "updates": 2,
        "model": {"preset": "000-mt"},
        "optimizer": {"kind": "adamw", "lr": 1e-3},
    }
    tasks: dict[tuple[str, str], Task] = {
        (arm.name, ""): Translate.read(
            {
                "model": {"recipe": "tiny", "train": train},
                "sentences": {"corpus": "tatoeba-en-es"},
                "new_tokens": 12,
                "decoding": {"kind": "sampling", "filters": [{"kind": "temperature", "value": value}]},
            }
        )
        for value, arm in enumerate(loaded.arms, start=1)
    }
    return replace(loaded, tasks=tasks)


def report_of_texts() -> ReportInput:
    """Three arms that translate, with the scores of their texts."""
    loaded = translators(written_study(study="written/quality"))
    planted = Written(right=RIGHT, loaded=loaded)
    frames = planted.frames()
    bare = synthetic_report(study(design={"rounds": 2}), steps=1)
    return replace(
        bare,
        loaded=loaded,
        analysis=planted.analysis(),
        samples=ReportSamples.from_frame(frames.samples),
        sentences=frames.sentences,
    )


def report_of_costs(report: ReportInput) -> ReportInput:
    """The same arms, timed: beam takes 3 times as long as greedy, wide 9 times."""
    loaded = translators(written_study(study="written/cost", primary="sentence_seconds"))
    contrast = report.analysis.contrasts[0]
    timed = [
        replace(
            contrast,
            metric=metric,
            arm=f"decoding={arm}",
            effect=ratio,
            low=low * ratio,
            high=ratio / low,
            verdict="worse",
        )
        for arm, ratio in (("beam", 3.0), ("wide", 9.0))
        for metric, low in (("sentence_seconds", 0.9), ("peak_tensor_bytes", 1.0))
    ]
    analysis = replace(report.analysis, contrasts=tuple(timed))
    return replace(report, loaded=loaded, analysis=analysis)
