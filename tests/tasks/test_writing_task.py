"""Tasks that write text: the decoder writes the texts, the texts are scored, and bad input is refused."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from harness.config import digest
from harness.data.tokenizer import BOS_ID, EOS_ID
from harness.errors import InputError
from harness.invariants.registry import find_invariant
from harness.metrics import ENERGY_METRICS
from harness.models.decoding.beam_bookkeeping import Hypothesis
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch, Greedy
from harness.models.decoding.decode import decode
from harness.models.init import build_model
from harness.scoring.scores.translation import bleu
from harness.tasks import translate
from harness.tasks.base import Context, Result
from harness.tasks.continue_text import ContinueText
from harness.tasks.train import Train
from harness.tasks.translate import Translate
from harness.tasks.writing_task import Texts, WritingTask
from harness.training.checkpoint import save_checkpoint
from tests.tasks.tiny_recipes import NOUNS, RECIPE, VERBS, continuation, translation

Values = dict[str, list[float]]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny language in which every sentence is turned round."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    rows = [f"the {a} {verb} the {b}" for a in NOUNS for verb in VERBS for b in NOUNS]
    path.write_text("".join(f"{row}\t{' '.join(reversed(row.split()))}\n" for row in rows))
    return path


def surroundings(task: WritingTask, folder: Path) -> Context:
    """With models of random weights, large enough that what they say is no constant."""
    checkpoints = {}
    for training in task.trainings():
        assert isinstance(training, Train)
        key = digest(training.plain())
        save_checkpoint(folder / key, build_model(training.model.model_copy(update={"init_std": 0.5}), 0), {})
        checkpoints[key] = str(folder / key)
    return Context(seed=0, device="cpu", checkpoints=checkpoints)


def run(task: WritingTask, folder: Path, *invariants: str) -> tuple[Result, Values]:
    values: Values = defaultdict(list)
    context = surroundings(task, folder)
    result = task.run(context, lambda metric, value, _step=0, /: values[metric].append(value))
    for invariant in invariants or ("beam-greedy",):
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
    assert set(values) == set(task.metrics) - {"acceptance_rate", *ENERGY_METRICS}
    assert values["bleu"] == [bleu(written.outputs, written.references).corpus_score]
    assert all(values[name] == [written.statistics(name).corpus_score] for name in written.scores)
    assert result.spent["sentences"] == len(written.outputs)
    assert result.timed is not None
    assert result.timed.tokens == sum(values["new_tokens"])
    again, _ = run(task, tmp_path)
    assert again.sentences == written
    assert again.outputs == result.outputs


def test_a_byte_that_is_a_token_is_as_probable_as_a_token(tmp_path: Path) -> None:
    """Also if references are cut inside characters, of which each shows three bytes."""
    text = tmp_path / "text.txt"
    text.write_text("いろはにほへとちりぬるをわかよたれそつねならむ" * 50)
    corpus = {"kind": "files", "files": [str(text)]}
    prompts = {"corpus": corpus, "split": "train", "count": 4, "tokens": 8}
    _, values = run(ContinueText.read(continuation(prompts=prompts, new_tokens=11)), tmp_path)
    assert values["perplexity_per_byte"] == values["perplexity_per_token"]


def test_the_size_of_batches_changes_nothing_that_is_written(pairs: Path, tmp_path: Path) -> None:
    for decoding in ({"kind": "greedy"}, BEAM, {"kind": "sampling"}):
        texts = [
            run(Translate.read(translation(pairs, batch=batch, decoding=decoding)), tmp_path)[0].outputs
            for batch in (1, 7)
        ]
        assert texts[0] == texts[1]


@pytest.mark.parametrize("make", [translation, continuation])
def test_a_model_kept_on_the_way_is_the_one_that_writes(make: Any, pairs: Path, tmp_path: Path) -> None:
    settings = make(pairs) if make is translation else make()
    task_of = Translate if make is translation else ContinueText
    updates = settings["model"]["train"]["updates"]
    train = {**settings["model"]["train"], "keep": [1]}
    outputs = {}
    for after in (1, updates):
        task = task_of.read({**settings, "model": {"recipe": "tiny", "train": train, "after": after}})
        config = task.model.train.model.model_copy(update={"init_std": 0.5})
        folder = tmp_path / "model"
        save_checkpoint(folder, build_model(config, 0), {}, earlier={1: build_model(config, 1)})
        context = Context(seed=0, device="cpu", checkpoints={digest(task.model.train.plain()): str(folder)})
        result = task.run(context, lambda *_sample: None)
        assert result.spent["updates"] == after
        assert result.spent["training_tokens"] == after * train["batch"] * train["length"]
        outputs[after] = result.outputs
    at_the_end, _ = run(task_of.read(settings), tmp_path)
    assert outputs[updates] == at_the_end.outputs != outputs[1]


def test_greedy_is_beam_1_and_a_draft_that_is_the_model_is_always_accepted(
    pairs: Path, tmp_path: Path
) -> None:
    greedy, values = run(Translate.read(translation(pairs)), tmp_path)
    one, _ = run(Translate.read(translation(pairs, decoding={"kind": "beam", "width": 1})), tmp_path)
    assert one.outputs == greedy.outputs
    settings = translation(pairs, decoding={"kind": "speculative"})
    task = Translate.read({**settings, "draft": settings["model"]})
    drafted, draft_values = run(task, tmp_path, "beam-greedy", "speculative-target")
    assert drafted.outputs == greedy.outputs
    assert draft_values["acceptance_rate"] == [1.0]
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
    context = surroundings(task, tmp_path)
    texts, _, tokenizer = task.texts()
    prompter = task.prompter(texts, context)
    rows = [list(range(10, 15)), [20], [7, 7], [9] * 12]
    forced = prompter.likelihoods(rows)
    model = task.subject(context).model
    for index, row in enumerate(rows):
        total, prefix = 0.0, list(texts.source_ids[index])
        for token in row:
            logits = model(torch.tensor([prefix]))[0, -1].double()
            total += float(logits.log_softmax(-1)[token])
            prefix.append(token)
        assert forced.nats[index] == pytest.approx(total, rel=1e-5)
    assert forced.tokens == [5, 1, 2, 12]
    assert result.sentences is not None
    assert result.sentences.sources == tuple(tokenizer.decode(ids) for ids in texts.source_ids)


@pytest.mark.parametrize("make", [translation, continuation])
def test_a_hypothesis_is_as_probable_to_its_beam_as_to_teacher_forcing(
    make: Any, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the model scores of what was written is what the search added up, with the end of a text in it.

    Texts end in a token that this model of random weights likes, so that some do.
    """
    monkeypatch.setattr(translate, "EOS_ID", 112)
    monkeypatch.setattr(translate._Translation, "end", 112)
    settings = {**(make(pairs) if make is translation else make()), "decoding": BEAM}
    task = (Translate if make is translation else ContinueText).read(settings)
    result, _ = run(task, tmp_path)
    texts, *_ = task.texts()
    prompter = task.prompter(texts, surroundings(task, tmp_path))
    hypotheses = [Hypothesis(tokens=(), log_probability=0.0, score=0.0)] * len(texts.sources)
    for indices in texts.batches(task.batch):
        model, _, prompt = prompter.batch(indices)
        rows = beam_search(
            model, prompt, BeamSearch(width=3), new_tokens=task.new_tokens, cache="dynamic", end=prompter.end
        )
        for index, (best,) in zip(indices, rows, strict=True):
            hypotheses[index] = best
    forced = prompter.likelihoods([best.tokens for best in hypotheses])
    nats, tokens = [best.log_probability for best in hypotheses], [len(best.tokens) for best in hypotheses]
    assert forced.nats == pytest.approx(nats, rel=1e-5)
    assert forced.tokens == tokens
    assert result.sentences is not None
    stored = result.sentences.statistics("model_score").values
    assert stored[:, 0] == pytest.approx(nats, rel=1e-5)
    assert stored[:, 1].tolist() == tokens
    if make is translation:
        assert sum(best.tokens[-1] == prompter.end for best in hypotheses) > 4
        assert len(set(tokens)) > 3


def test_a_beam_wider_than_the_vocabulary_keeps_every_first_token(pairs: Path, tmp_path: Path) -> None:
    few = {"corpus": translation(pairs)["sentences"]["corpus"], "count": 3}
    means = []
    for decoding in ({"kind": "beam", "width": 300}, {"kind": "greedy"}):
        settings = translation(pairs, sentences=few, new_tokens=2, decoding=decoding)
        result, _ = run(Translate.read(settings), tmp_path)
        assert result.sentences is not None
        nats, tokens = result.sentences.statistics("model_score").values.T
        means.append(nats / tokens)
    assert (means[0] >= means[1] - 1e-6).all()
    assert (means[0] > means[1] + 1e-3).any()


def test_a_prompt_of_special_tokens_alone_is_continued_as_any_other(tmp_path: Path) -> None:
    task = ContinueText.read(continuation())
    texts, *_ = task.texts()
    special = replace(texts, source_ids=((BOS_ID,), (EOS_ID, EOS_ID), (BOS_ID, EOS_ID)))
    prompter = task.prompter(special, surroundings(task, tmp_path))
    for index, length in ((0, 1), (1, 2), (2, 2)):
        model, _, prompt = prompter.batch([index])
        [row] = decode(model, prompt, Greedy(), new_tokens=12, cache="dynamic")
        assert prompt.shape == (1, length)
        assert len(row) == 12


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"new_tokens": 256},
            "new_tokens 256 and the first token are more than the model's max_positions 256",
        ),
        ({"decoding": {"kind": "speculative"}}, "needs a draft model; add `draft:"),
        ({"decoding": {"kind": "beam", "width": 2, "n_best": 3}}, "n_best 3 exceeds the beam's width 2"),
        (
            {"decoding": {"kind": "beam", "width": 2, "n_best": 2}},
            "decoding\n.*n_best is 2, but a study writes one text per sentence",
        ),
        (
            {"decoding": {"kind": "sampling", "filters": [{"kind": "temperature", "value": 0}]}},
            "temperature 0 does not define a distribution",
        ),
        (
            {"decoding": {"kind": "sampling", "filters": [{"kind": "temperature", "value": -1}]}},
            "temperature -1 does not define a distribution",
        ),
        ({"decoding": {"kind": "sampling", "filters": [{"kind": "top-p", "p": 0}]}}, "greater than 0"),
        ({"sentences": {"corpus": "tatoeba-en-es", "count": 1}}, "greater than or equal to 2"),
        ({"model": {"recipe": "tiny", "train": RECIPE}}, "model must be an encoder-decoder"),
        (
            {"draft": {"recipe": "tiny", "train": RECIPE}},
            "draft must be of the same kind as the model, encoder-decoder, but its kind is decoder",
        ),
    ],
)
def test_settings_that_cannot_be_decoded_with_are_refused(
    pairs: Path, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        Translate.read(translation(pairs, **changes))


def test_a_continuation_has_room_and_a_decoder(pairs: Path) -> None:
    with pytest.raises(ValidationError, match="more than the model's max_positions"):
        ContinueText.read(continuation(new_tokens=10_000))
    with pytest.raises(ValidationError, match="cannot continue text"):
        ContinueText.read(continuation(model=translation(pairs)["model"]))


def test_a_draft_that_cannot_propose_to_the_model_is_refused(pairs: Path) -> None:
    settings = translation(pairs, decoding={"kind": "speculative"})
    train = settings["model"]["train"]

    def drafted(**changes: Any) -> dict[str, Any]:
        return {**settings, "draft": {"recipe": "small", "train": {**train, **changes}}}

    assert Translate.read(drafted(updates=1)).max_positions == 256
    with pytest.raises(ValidationError, match="draft and model must have the same tokenizer"):
        Translate.read(drafted(tokenizer={"kind": "bpe", "vocab_size": 300}))
    with pytest.raises(ValidationError, match="draft and model must have the same corpus"):
        Translate.read(drafted(corpus="tatoeba-en-es"))
    short = {**train["model"], "max_positions": 20}
    with pytest.raises(ValidationError, match="new_tokens 20 and the first token are more than"):
        Translate.read(drafted(model=short, length=20))
    assert (
        Translate.read({**drafted(model=short, length=20), "decoding": {"kind": "greedy"}}).max_positions
        == 256
    )


def test_texts_without_a_reference_are_refused_before_anything_is_decoded() -> None:
    def texts(sources: tuple[str, ...], references: tuple[str, ...]) -> Texts:
        ids = ((5, 2),) * len(sources)
        return Texts(
            sources=sources,
            references=references,
            source_ids=ids,
            reference_ids=ids,
            reference_bytes=(1,) * len(sources),
        )

    assert texts(("a", "b"), ("1", "2")).batches(1) == [[0], [1]]
    for sources, references, problem in (
        (("a", "b"), ("1",), "there are 2 sources but 1 references"),
        (("a", "b"), ("1", " "), "reference 2 is empty"),
        (("a",), ("1",), "there is only one text to write on"),
        ((), (), "there are no sources to score"),
    ):
        with pytest.raises(InputError, match=problem):
            texts(sources, references)


def test_a_metric_that_cannot_measure_the_references_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chinese.tsv"
    path.write_text("".join(f"row {number}\t我们第{number}天去北京的图书馆看书。\n" for number in range(60)))
    task = Translate.read(translation(path))
    task.check_scores(["chrf", "validation_loss"])
    with pytest.raises(InputError, match=r"translate: rougeL cannot measure these texts: .*\(use chrf"):
        task.check_scores(["rougeL"])
    Translate.read(translation(path, score_tokenizer="char")).check_scores(["bleu", "rougeL"])
