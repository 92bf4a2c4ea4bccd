"""Tasks that write text: what comes out is the decoder's, scores are those of the texts, and bad input is told."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from harness.config import digest
from harness.data.content import Pair
from harness.errors import InputError
from harness.invariants.registry import find_invariant
from harness.scoring import bleu
from harness.tasks.base import Context, Result
from harness.tasks.continue_text import ContinueText
from harness.tasks.decode import Decode
from harness.tasks.score import distinct, unseen_words
from harness.tasks.train import Train
from harness.tasks.translate import Translate, check_sources, chosen
from harness.training.checkpoint import save_checkpoint
from models.init import build_model
from tests.tasks.test_train_task import RECIPE

NOUNS = ("cat", "dog", "house", "tree", "book")
VERBS = ("eats", "sees", "likes", "finds")
Values = dict[str, list[float]]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny language in which every sentence is turned round."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    rows = [f"the {a} {verb} the {b}" for a in NOUNS for verb in VERBS for b in NOUNS]
    path.write_text("".join(f"{row}\t{' '.join(reversed(row.split()))}\n" for row in rows))
    return path


def translation(pairs: Path, **changes: Any) -> dict[str, Any]:
    corpus = {
        "kind": "files",
        "files": [str(pairs)],
        "fractions": {"valid": 0.2, "test": 0.2},
        "source": 1,
        "target": 2,
    }
    train = {
        "corpus": corpus, "tokenizer": {"kind": "bytes"}, "batch": 4, "length": 64, "updates": 2,
        "model": {"preset": "000-mt", "d_model": 32, "n_heads": 2, "d_ff": 64, "n_encoder_layers": 1, "n_decoder_layers": 1},
        "optimizer": {"kind": "adamw", "lr": 1e-3},
    }  # fmt: skip
    settings = {
        "model": {"recipe": "tiny", "train": train}, "sentences": {"corpus": corpus}, "new_tokens": 20, "batch": 8,
    }  # fmt: skip
    return {**settings, **changes}


def continuation(**changes: Any) -> dict[str, Any]:
    settings = {
        "model": {"recipe": "tiny", "train": RECIPE},
        "prompts": {"corpus": "python-docs", "split": "test", "count": 4, "tokens": 8},
        "new_tokens": 12,
        "batch": 3,
    }
    return {**settings, **changes}


def run(task: Decode, folder: Path) -> tuple[Result, Values]:
    """The task with models of random weights, large enough that what they say is no constant."""
    checkpoints = {}
    for training in task.trainings():
        assert isinstance(training, Train)
        key = digest(training.plain())
        save_checkpoint(folder / key, build_model(training.model.model_copy(update={"init_std": 0.5}), 0), {})
        checkpoints[key] = str(folder / key)
    values: Values = defaultdict(list)
    context = Context(seed=0, device="cpu", checkpoints=checkpoints)
    result = task.run(context, lambda metric, value, _step=0, /: values[metric].append(value))
    for invariant in ("beam-greedy",):
        checks = list(find_invariant(invariant).check_subject(task.subject(context)))
        assert all(check.passed for check in checks), checks
    return result, dict(values)


BEAM = {"kind": "beam", "width": 3}


@pytest.mark.parametrize("make", [translation, continuation])
def test_every_metric_is_reported_and_scores_are_those_of_the_sentences(
    make: Any, pairs: Path, tmp_path: Path
) -> None:
    settings = make(pairs) if make is translation else make()
    task = (Translate if make is translation else ContinueText).read(settings)
    result, values = run(task, tmp_path)
    written = result.sentences
    assert written is not None
    assert set(values) == set(task.metrics) - {"acceptance_rate"}
    assert values["bleu"] == [bleu(written.outputs, written.references).corpus_score]
    assert all(values[name] == [written.statistics(name).corpus_score] for name in written.scores)
    assert result.spent["sentences"] == len(written.outputs)
    again, _ = run(task, tmp_path)
    assert again.sentences == written
    assert again.outputs == result.outputs


def test_the_size_of_batches_changes_nothing_that_is_written(pairs: Path, tmp_path: Path) -> None:
    for decoding in ({"kind": "greedy"}, BEAM):
        texts = [
            run(Translate.read(translation(pairs, batch=batch, decoding=decoding)), tmp_path)[0].outputs
            for batch in (1, 7)
        ]
        assert texts[0] == texts[1]


def test_greedy_is_beam_1_and_a_draft_that_is_the_model_is_always_accepted(
    pairs: Path, tmp_path: Path
) -> None:
    greedy, values = run(Translate.read(translation(pairs)), tmp_path)
    one, _ = run(Translate.read(translation(pairs, decoding={"kind": "beam", "width": 1})), tmp_path)
    assert one.outputs == greedy.outputs
    settings = translation(pairs, decoding={"kind": "speculative"})
    drafted, found = run(Translate.read({**settings, "draft": settings["model"]}), tmp_path)
    assert drafted.outputs == greedy.outputs
    assert found["acceptance_rate"] == [1.0]
    assert "acceptance_rate" not in values


def test_the_model_prefers_its_own_greedy_words_to_random_ones(tmp_path: Path) -> None:
    values = {}
    for name, decoding in (("greedy", {"kind": "greedy"}), ("sampled", {"kind": "sampling"})):
        values[name] = run(ContinueText.read(continuation(decoding=decoding)), tmp_path)[1]
    assert values["greedy"]["model_score"] > values["sampled"]["model_score"]
    assert values["greedy"]["perplexity_per_token"] == values["sampled"]["perplexity_per_token"]


def test_teacher_forcing_gives_the_log_probability_of_each_step(tmp_path: Path) -> None:
    task = ContinueText.read(continuation())
    result, _ = run(task, tmp_path)
    [folder] = list(tmp_path.iterdir())
    training = task.model.train
    context = Context(seed=0, device="cpu", checkpoints={digest(training.plain()): str(folder)})
    texts, tokenizer = task.texts()
    prompter = task.prompted(texts, context)
    rows = [list(range(10, 15)), [20], [7, 7], [9] * 12]
    forced = prompter.forced(rows)
    model = task.subject(context).model
    for place, row in enumerate(rows):
        total, prefix = 0.0, list(texts.source_ids[place])
        for token in row:
            logits = model(torch.tensor([prefix]))[0, -1].double()
            total += float(logits.log_softmax(-1)[token])
            prefix.append(token)
        assert forced.nats[place] == pytest.approx(total, rel=1e-5)
    assert forced.tokens == [5, 1, 2, 12]
    assert result.sentences is not None
    assert result.sentences.sources == tuple(tokenizer.decode(ids) for ids in texts.source_ids)


def test_one_pair_a_source_and_the_same_draw_for_everybody() -> None:
    found = [Pair("a", "1"), Pair("b", "2"), Pair("a", "3"), Pair("c", "4")]
    assert [pair.target for pair in chosen(found, None)] == ["1", "2", "4"]
    assert chosen(found, 2) == chosen(found, 2)
    with pytest.raises(InputError, match="5 sentences were asked for, and the split has 3"):
        chosen(found, 5)


def test_sources_that_cannot_be_translated_are_told() -> None:
    with pytest.raises(InputError, match="source 2 is empty"):
        check_sources(("a", " "), ((5, 2), (2,)), 8)
    with pytest.raises(InputError, match="source 1 has 9 tokens, and the model reads 8"):
        check_sources(("a",), ((5,) * 9,), 8)


def test_unseen_words_and_distinct_words() -> None:
    assert unseen_words(("The cat sat.", "A DOG"), ("the CAT", "a dog")) == (1, 0)
    assert distinct(["a b a"], 1) == pytest.approx(2 / 3)
    assert distinct(["", "a"], 2) != distinct(["", "a"], 2)  # NaN: no text has two words


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"new_tokens": 256}, "new_tokens 256 and the first token are beyond the model's max_positions 256"),
        ({"decoding": {"kind": "speculative"}}, "needs a draft model"),
        ({"decoding": {"kind": "beam", "width": 2, "n_best": 3}}, "n_best 3 is more than the beam's width 2"),
        ({"decoding": {"kind": "sampling", "filters": [{"kind": "temperature", "value": 0}]}}, "is no distribution"),
        ({"decoding": {"kind": "sampling", "filters": [{"kind": "top-p", "p": 0}]}}, "greater than 0"),
        ({"sentences": {"corpus": "tatoeba-en-es", "count": 1}}, "greater than or equal to 2"),
        ({"model": {"recipe": "tiny", "train": RECIPE}}, "model must be an encoder-decoder"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_decoded_with_are_refused(
    pairs: Path, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        Translate.read(translation(pairs, **changes))


def test_a_continuation_has_room_and_a_decoder(pairs: Path) -> None:
    with pytest.raises(ValidationError, match="beyond the model's max_positions"):
        ContinueText.read(continuation(new_tokens=10_000))
    with pytest.raises(ValidationError, match="continues no text"):
        ContinueText.read(continuation(model=translation(pairs)["model"]))
