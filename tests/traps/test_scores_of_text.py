"""Who was fooled: those who took copies of a text for observations, compared texts that were not the same,
and read equality out of scores that could not show a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.analysis.frames import MemoryFrames
from harness.scoring.scores.rouge import rouge
from harness.scoring.scores.translation import bleu
from harness.scoring.sentences import Sentences, StoredStatistics
from harness.statistics import SentenceStatistics
from tests.analysis.planted import claim
from tests.analysis.written import Written, of_arm, written_study
from tests.traps.stored import judged

BETTER = {"source": "x", "says": "Better.", "level": {"decoding": "beam"}, "direction": "better"}
SAME = {"source": "x", "says": "No worse.", "level": {"decoding": "beam"}, "no_difference": True}
CLAIMS = {"better": BETTER, "same": SAME}
RIGHT = {"greedy": 0.6, "beam": 0.66, "wide": 0.6}
Score = Callable[..., SentenceStatistics]


def rouge_l(outputs: Sequence[str], references: Sequence[str], **settings: Any) -> SentenceStatistics:
    return rouge(outputs, references, **settings)["rougeL"]


def rewritten(frames: MemoryFrames, change: Callable[[int, Sentences], Sentences]) -> MemoryFrames:
    """The frames with other sentences in each trial: its number and what it wrote are given."""
    sentences = {trial: change(trial, written) for trial, written in frames.sentences.items()}
    values = {trial: written.statistics("bleu").corpus_score for trial, written in sentences.items()}
    samples = frames.samples.assign(value=frames.samples["trial"].map(values))
    return replace(frames, sentences=sentences, samples=samples)


def scored(
    sources: Sequence[str], references: Sequence[str], outputs: Sequence[str], *, score: Score = bleu
) -> Sentences:
    statistics = score(outputs, references)
    return Sentences(
        sources=tuple(sources),
        references=tuple(references),
        outputs=tuple(outputs),
        unseen=(0,) * len(sources),
        scores={statistics.metric: StoredStatistics.from_statistics(statistics)},
    )


def chosen(written: Sentences, indices: Sequence[int]) -> Sentences:
    """Some of the sentences, in this order."""
    columns = (written.sources, written.references, written.outputs)
    sources, references, outputs = ([column[index] for index in indices] for column in columns)
    return scored(sources, references, outputs)


def verdicts(folder: Path, frames: MemoryFrames, **changes: Any) -> tuple[dict[str, str], str, int]:
    """The verdicts on both claims, the sentence of the first and its n."""
    analysis = judged(folder, written_study(claims=CLAIMS, **changes), frames)
    settled = {name: claim(analysis, name) for name in CLAIMS}
    one = settled["better"]
    return {name: result.verdict for name, result in settled.items()}, one.sentence, one.n


UNDECIDED = {"better": "undecided", "same": "undecided"}
INVALID = {"better": "invalid", "same": "invalid"}


@pytest.fixture(scope="module")
def frames() -> MemoryFrames:
    return Written(right=RIGHT, count=120).frames()


def test_two_prompts_of_an_untrained_model(tmp_path: Path, frames: MemoryFrames) -> None:
    def nothing(_trial: int, written: Sentences) -> Sentences:
        return scored(written.sources[:2], written.references[:2], ["x", "y"])

    decided, sentence, n = verdicts(tmp_path, rewritten(frames, nothing))
    assert (decided, n) == (UNDECIDED, 2)
    assert "2 distinct texts cannot decide; at least 30 are needed" in sentence


def test_a_score_at_its_floor_in_both_arms(tmp_path: Path, frames: MemoryFrames) -> None:
    def hardly(trial: int, written: Sentences) -> Sentences:
        outputs = ["x"] * 120
        outputs[trial] = f"{written.references[trial].split()[0]} x"
        return scored(written.sources, written.references, outputs)

    decided, sentence, _ = verdicts(tmp_path, rewritten(frames, hardly))
    assert decided == UNDECIDED
    assert "BLEU is at the lowest value that it can have, 0, in both arms" in sentence


def test_nothing_is_written_by_one_arm(tmp_path: Path, frames: MemoryFrames) -> None:
    """An arm that writes nothing scores 0 and is worse; two such arms show nothing about each other."""

    def silent(trials: Sequence[int]) -> Callable[[int, Sentences], Sentences]:
        def change(trial: int, written: Sentences) -> Sentences:
            empty = scored(written.sources, written.references, [""] * 120)
            return empty if trial in trials else written

        return change

    for trials, expected in (((2,), {"better": "refuted", "same": "refuted"}), ((1, 2), UNDECIDED)):
        folder = tmp_path / str(len(trials))
        folder.mkdir()
        assert verdicts(folder, rewritten(frames, silent(trials)))[0] == expected


def test_one_sentence_written_3000_times(tmp_path: Path, frames: MemoryFrames) -> None:
    def windows(trial: int, _written: Sentences) -> Sentences:
        line = "The quick brown fox jumps over the lazy dog, and nobody knows why it does so. "
        starts = np.random.default_rng(0).permutation(3000)[:100] * 64 % len(line)
        texts = [(line * 3)[start : start + 64] for start in starts]
        references = [text[32:] for text in texts]
        outputs = [reference if trial == 2 else reference[:-3] for reference in references]
        return scored([text[:32] for text in texts], references, outputs)

    decided, sentence, n = verdicts(tmp_path, rewritten(frames, windows))
    assert (decided, n) == (UNDECIDED, 1)
    assert "1 distinct text cannot decide" in sentence


def test_a_test_set_that_repeats_some_of_its_lines_counts_each_once(
    tmp_path: Path, frames: MemoryFrames
) -> None:
    once = verdicts(tmp_path, frames)
    repeats = [*range(120), *[7] * 300, *[8] * 5]
    (tmp_path / "repeated").mkdir()
    again = verdicts(
        tmp_path / "repeated", rewritten(frames, lambda _trial, written: chosen(written, repeats))
    )
    assert (once[2], again[2]) == (120, 120)
    assert once[0]["better"] == "confirmed"
    assert again[0] == UNDECIDED
    assert "repeated so often that they count as 2, cannot decide" in again[1]


def test_sentences_that_one_arm_wrote_in_another_order(tmp_path: Path, frames: MemoryFrames) -> None:
    straight = judged(tmp_path, written_study(), frames)
    (tmp_path / "shuffled").mkdir()
    order = np.random.default_rng(1).permutation(120).tolist()
    shuffled = rewritten(frames, lambda trial, written: chosen(written, order) if trial == 2 else written)
    results = [
        of_arm(analysis, "beam")
        for analysis in (straight, judged(tmp_path / "shuffled", written_study(), shuffled))
    ]
    assert results[0] == results[1]
    same = rewritten(frames, lambda trial, written: chosen(written, order) if trial == 3 else written)
    (tmp_path / "same").mkdir()
    assert of_arm(judged(tmp_path / "same", written_study(), same), "wide").verdict == "identical"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda written: chosen(written, range(119)),
            "1 of 120 sentences is missing, and 0 other sentences are there",
        ),
        (
            lambda written: chosen(written, [*range(119), 3]),
            "1 of 120 sentences is missing, and 1 other sentence is there",
        ),
        (
            lambda written: scored(
                [f"easier {source}" for source in written.sources], written.references, written.outputs
            ),
            "120 of 120 sentences are missing, and 120 other sentences are there",
        ),
    ],
    ids=["a lost sentence", "a sentence twice", "prompts of another corpus"],
)
def test_other_texts_in_one_arm(
    tmp_path: Path, frames: MemoryFrames, change: Callable[[Sentences], Sentences], reason: str
) -> None:
    other = rewritten(frames, lambda trial, written: change(written) if trial == 2 else written)
    decided, sentence, _ = verdicts(tmp_path, other)
    assert decided == INVALID
    assert f"BLEU of decoding=beam, seed 0, was measured on other texts: {reason}" in sentence


def test_a_score_that_does_not_depend_on_what_was_written(tmp_path: Path, frames: MemoryFrames) -> None:
    """The perplexity of the references is that of the checkpoint, so decoders cannot differ in it."""

    def perplexity(_trial: int, written: Sentences) -> Sentences:
        stored = StoredStatistics(signature="t", values=((60.0, 12.0),) * 120)
        return replace(written, scores={**written.scores, "perplexity_per_token": stored})

    spoilt = rewritten(frames, perplexity)
    spoilt = replace(spoilt, samples=spoilt.samples.assign(metric="perplexity_per_token"))
    decided, sentence, _ = verdicts(tmp_path, spoilt, primary="perplexity_per_token")
    assert decided == UNDECIDED
    assert "is the same for every text although the arms wrote different ones" in sentence


CHINESE = tuple(f"我们第{number}天去北京的图书馆看书，晚上回家。" for number in range(120))


@pytest.mark.parametrize("score", [bleu, rouge_l], ids=["bleu", "rougeL"])
def test_translations_into_chinese(tmp_path: Path, frames: MemoryFrames, score: Score) -> None:
    """ROUGE sees no Chinese letters, and BLEU takes a sentence without spaces for one word."""
    for name, scorer, expected in (
        ("default", score, INVALID),
        ("char", partial(score, tokenizer="char"), {"better": "confirmed", "same": "refuted"}),
    ):

        def change(trial: int, written: Sentences, scorer: Score = scorer) -> Sentences:
            outputs = CHINESE if trial == 2 else [text[:9] + "他" + text[10:-6] for text in CHINESE]
            return scored(written.sources, CHINESE, outputs, score=scorer)

        (tmp_path / name).mkdir()
        spoilt = {trial: change(trial, written) for trial, written in frames.sentences.items()}
        [metric] = next(iter(spoilt.values())).scores
        values = {trial: written.statistics(metric).corpus_score for trial, written in spoilt.items()}
        samples = frames.samples.assign(metric=metric, value=frames.samples["trial"].map(values))
        chinese = replace(frames, sentences=spoilt, samples=samples)
        decided, sentence, _ = verdicts(tmp_path / name, chinese, primary=metric)
        assert decided == expected
        if name == "default":
            assert f"{metric} cannot measure these texts" in sentence
            assert "use chrf, or set score_tokenizer to zh or char" in sentence
