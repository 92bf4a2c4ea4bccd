"""Tasks that write text: what comes out is the decoder's, scores are those of the texts, and bad input is
told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from harness.config import digest
from harness.data import tokenizer as tokenizers
from harness.data.tokenizer import BOS_ID, EOS_ID
from harness.invariants.registry import find_invariant
from harness.models.cache import Cache
from harness.models.config import CacheKind
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch, Greedy, Sampling, Speculative
from harness.models.decoding.decode import decode
from harness.models.decoding.hypotheses import Hypothesis
from harness.models.init import build_model
from harness.models.transformer import Transformer
from harness.scoring import bleu
from harness.tasks.base import Context, Result
from harness.tasks.continue_text import ContinueText
from harness.tasks.score import distinct, unseen_words
from harness.tasks.timed_decoding import How, Prompted, Written, write
from harness.tasks.train import Train
from harness.tasks.translate import Translate
from harness.tasks.writing_task import Decode
from harness.telemetry.clock import Clock
from harness.training.checkpoint import save_checkpoint
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
        "corpus": corpus,
        "tokenizer": {"kind": "bytes"},
        "batch": 4,
        "length": 64,
        "updates": 2,
        "model": {
            "preset": "000-mt",
            "d_model": 32,
            "n_heads": 2,
            "d_ff": 64,
            "n_encoder_layers": 1,
            "n_decoder_layers": 1,
        },
        "optimizer": {"kind": "adamw", "lr": 1e-3},
    }
    settings = {
        "model": {"recipe": "tiny", "train": train},
        "sentences": {"corpus": corpus},
        "new_tokens": 20,
        "batch": 8,
    }
    return {**settings, **changes}


def continuation(**changes: Any) -> dict[str, Any]:
    settings = {
        "model": {"recipe": "tiny", "train": RECIPE},
        "prompts": {"corpus": "python-docs", "split": "test", "count": 4, "tokens": 8},
        "new_tokens": 12,
        "batch": 3,
    }
    return {**settings, **changes}


def surroundings(task: Decode, folder: Path) -> Context:
    """With models of random weights, large enough that what they say is no constant."""
    checkpoints = {}
    for training in task.trainings():
        assert isinstance(training, Train)
        key = digest(training.plain())
        save_checkpoint(folder / key, build_model(training.model.model_copy(update={"init_std": 0.5}), 0), {})
        checkpoints[key] = str(folder / key)
    return Context(seed=0, device="cpu", checkpoints=checkpoints)


def run(task: Decode, folder: Path, *invariants: str) -> tuple[Result, Values]:
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
    assert set(values) == set(task.metrics) - {"acceptance_rate"}
    assert values["bleu"] == [bleu(written.outputs, written.references).corpus_score]
    assert all(values[name] == [written.statistics(name).corpus_score] for name in written.scores)
    assert result.spent["sentences"] == len(written.outputs)
    again, _ = run(task, tmp_path)
    assert again.sentences == written
    assert again.outputs == result.outputs


def test_the_size_of_batches_changes_nothing_that_is_written(pairs: Path, tmp_path: Path) -> None:
    for decoding in ({"kind": "greedy"}, BEAM, {"kind": "sampling"}):
        texts = [
            run(Translate.read(translation(pairs, batch=batch, decoding=decoding)), tmp_path)[0].outputs
            for batch in (1, 7)
        ]
        assert texts[0] == texts[1]


@pytest.mark.parametrize("decoding", [Sampling(), Speculative(choose=Sampling())])
def test_every_text_of_every_batch_and_seed_has_random_numbers_of_its_own(
    decoding: Sampling | Speculative,
) -> None:
    """The same prompt eight times, in batches of two, by a model of flat distributions."""
    model = build_model(Train.read(RECIPE).model, 0).eval()
    assert isinstance(model, Transformer)

    def prompted(places: Sequence[int]) -> Prompted:
        return Prompted(model, model, torch.ones((len(places), 1), dtype=torch.long))

    def texts(seed: int) -> set[tuple[int, ...]]:
        how = How(decoding=decoding, seed=seed, new_tokens=8, cache="dynamic", end=None)
        found = write([[0, 1], [2, 3], [4, 5], [6, 7]], prompted, how, Clock("cpu"))
        return set(map(tuple, found.rows))

    assert len(texts(0)) == 8
    assert texts(0) == texts(0)
    assert not texts(0) & texts(1)


@pytest.mark.parametrize("make", [translation, continuation])
def test_a_model_kept_on_the_way_is_the_one_that_writes(make: Any, pairs: Path, tmp_path: Path) -> None:
    settings = make(pairs) if make is translation else make()
    task_of = Translate if make is translation else ContinueText
    updates = settings["model"]["train"]["updates"]
    train = {**settings["model"]["train"], "keep": [1]}
    found = {}
    for after in (1, updates):
        task = task_of.read({**settings, "model": {"recipe": "tiny", "train": train, "after": after}})
        config = task.model.train.model.model_copy(update={"init_std": 0.5})
        folder = tmp_path / "model"
        save_checkpoint(folder, build_model(config, 0), {}, kept={1: build_model(config, 1)})
        context = Context(seed=0, device="cpu", checkpoints={digest(task.model.train.plain()): str(folder)})
        result = task.run(context, lambda *_sample: None)
        assert result.spent["updates"] == after
        assert result.spent["training_tokens"] == after * train["batch"] * train["length"]
        found[after] = result.outputs
    whole, _ = run(task_of.read(settings), tmp_path)
    assert found[updates] == whole.outputs != found[1]


def test_greedy_is_beam_1_and_a_draft_that_is_the_model_is_always_accepted(
    pairs: Path, tmp_path: Path
) -> None:
    greedy, values = run(Translate.read(translation(pairs)), tmp_path)
    one, _ = run(Translate.read(translation(pairs, decoding={"kind": "beam", "width": 1})), tmp_path)
    assert one.outputs == greedy.outputs
    settings = translation(pairs, decoding={"kind": "speculative"})
    task = Translate.read({**settings, "draft": settings["model"]})
    drafted, found = run(task, tmp_path, "beam-greedy", "speculative-target")
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
    context = surroundings(task, tmp_path)
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


@pytest.mark.parametrize("make", [translation, continuation])
def test_a_hypothesis_is_as_probable_to_its_beam_as_to_teacher_forcing(
    make: Any, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the model scores of what was written is what the search added up, with the end of a text in it.

    Texts end in a token that this model of random weights likes, so that some do.
    """
    monkeypatch.setattr(tokenizers, "EOS_ID", 112)
    settings = {**(make(pairs) if make is translation else make()), "decoding": BEAM}
    task = (Translate if make is translation else ContinueText).read(settings)
    result, _ = run(task, tmp_path)
    texts, _ = task.texts()
    prompter = task.prompted(texts, surroundings(task, tmp_path))
    found = [Hypothesis(tokens=(), log_probability=0.0, score=0.0)] * len(texts.sources)
    for places in texts.batches(task.batch):
        model, _, prompt = prompter.batch(places)
        rows = beam_search(
            model, prompt, BeamSearch(width=3), new_tokens=task.new_tokens, cache="dynamic", end=prompter.end
        )
        for place, (best,) in zip(places, rows, strict=True):
            found[place] = best
    forced = prompter.forced([best.tokens for best in found])
    nats, tokens = [best.log_probability for best in found], [len(best.tokens) for best in found]
    assert forced.nats == pytest.approx(nats, rel=1e-5)
    assert forced.tokens == tokens
    assert result.sentences is not None
    stored = result.sentences.statistics("model_score").values
    assert stored[:, 0] == pytest.approx(nats, rel=1e-5)
    assert stored[:, 1].tolist() == tokens
    if make is translation:
        assert sum(best.tokens[-1] == prompter.end for best in found) > 4
        assert len(set(tokens)) > 3


@dataclass(frozen=True)
class Ticking(Clock):
    """A clock that goes on by what passes alone."""

    passed: list[float] = field(default_factory=list)

    def now_ns(self) -> int:
        return round(sum(self.passed) * 1e9)


@dataclass(frozen=True)
class Slow:
    """A model whose first logits take so many seconds, and every later ones half a second."""

    clock: Ticking
    first: float
    max_positions: int = 64

    def new_cache(self, _kind: CacheKind, *, batch: int, capacity: int) -> None:
        assert (batch, capacity) == (2, 3)

    def next_logits(
        self, tokens: torch.Tensor, *, cache: Cache | None, valid: torch.Tensor | None
    ) -> torch.Tensor:
        assert (cache, valid) == (None, None)
        self.clock.passed.append(self.first if tokens.shape[1] == 1 else 0.5)
        return torch.eye(8)[tokens[:, -1]]

    def __call__(
        self, tokens: torch.Tensor, *, cache: Cache | None, valid: torch.Tensor | None
    ) -> torch.Tensor:
        raise NotImplementedError


def test_speed_is_what_the_clock_says() -> None:
    """Twenty batches of two texts of three tokens, whose first come after 0.1 to 2 s, 0.02 of them to read
    the sources.
    """
    clock = Ticking()
    slow = {7 * place % 20: 0.1 * (place + 1) for place in range(20)}

    def prompted(places: Sequence[int]) -> Prompted:
        clock.passed.append(0.02)
        model = Slow(clock, slow[places[0] // 2] - 0.02)
        return Prompted(model, None, torch.ones((2, 1), dtype=torch.long))

    how = How(decoding=Greedy(), seed=0, new_tokens=3, cache="none", end=None)
    unit = write([[2 * batch, 2 * batch + 1] for batch in range(20)], prompted, how, clock)
    found: dict[tuple[str, int], float] = {}
    task = ContinueText.read(continuation())
    task._report_speed(unit, lambda metric, value, step=0, /: found.update({(metric, step): value}), 4)
    seconds = 0.1 * 210 + 20 * 2 * 0.5
    assert found == pytest.approx(
        {
            ("sentence_seconds", 4): seconds / 40,
            ("sentences_per_second", 4): 40 / seconds,
            ("tokens_per_second", 4): 120 / seconds,
            ("new_tokens", 4): 120,
            ("first_token_seconds", 4): 1.05,
            ("first_token_p95_seconds", 4): 1.905,
            ("first_token_p99_seconds", 4): 1.981,
        },
        rel=1e-6,
    )


def test_an_end_is_a_token_that_was_written() -> None:
    how = How(decoding=Greedy(), seed=0, new_tokens=3, cache="none", end=2)
    found = Written(how=how, rows=[[], [5], [5, 6], [5, 6, 7]])
    assert found.ended_rows == [[2], [5, 2], [5, 6, 2], [5, 6, 7]]
    assert found.new_tokens == 1 + 2 + 3 + 3
    assert Written(how=replace(how, end=None), rows=[[5, 6, 7]]).new_tokens == 3


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
    texts, _ = task.texts()
    special = replace(texts, source_ids=((BOS_ID,), (EOS_ID, EOS_ID), (BOS_ID, EOS_ID)))
    prompter = task.prompted(special, surroundings(task, tmp_path))
    for place, length in ((0, 1), (1, 2), (2, 2)):
        model, _, prompt = prompter.batch([place])
        [row] = decode(model, prompt, Greedy(), new_tokens=12, cache="dynamic")
        assert prompt.shape == (1, length)
        assert len(row) == 12


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
        (
            {"decoding": {"kind": "beam", "width": 2, "n_best": 2}},
            "decoding\n.*n_best is 2, but a study writes one text a sentence",
        ),
        (
            {"decoding": {"kind": "sampling", "filters": [{"kind": "temperature", "value": 0}]}},
            "temperature 0 is no distribution",
        ),
        (
            {"decoding": {"kind": "sampling", "filters": [{"kind": "temperature", "value": -1}]}},
            "temperature -1 is no distribution",
        ),
        ({"decoding": {"kind": "sampling", "filters": [{"kind": "top-p", "p": 0}]}}, "greater than 0"),
        ({"sentences": {"corpus": "tatoeba-en-es", "count": 1}}, "greater than or equal to 2"),
        ({"model": {"recipe": "tiny", "train": RECIPE}}, "model must be an encoder-decoder"),
        (
            {"draft": {"recipe": "tiny", "train": RECIPE}},
            "draft is of the kind decoder, and the model encoder-decoder",
        ),
    ],
)
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


def test_a_draft_that_cannot_propose_to_the_model_is_refused(pairs: Path) -> None:
    settings = translation(pairs, decoding={"kind": "speculative"})
    train = settings["model"]["train"]

    def drafted(**changes: Any) -> dict[str, Any]:
        return {**settings, "draft": {"recipe": "small", "train": {**train, **changes}}}

    assert Translate.read(drafted(updates=1)).max_positions == 256
    with pytest.raises(ValidationError, match="draft and model need the same tokenizer"):
        Translate.read(drafted(tokenizer={"kind": "bpe", "vocab_size": 300}))
    with pytest.raises(ValidationError, match="draft and model need the same corpus"):
        Translate.read(drafted(corpus="tatoeba-en-es"))
    short = {**train["model"], "max_positions": 20}
    with pytest.raises(ValidationError, match="new_tokens 20 and the first token are beyond"):
        Translate.read(drafted(model=short, length=20))
    assert (
        Translate.read({**drafted(model=short, length=20), "decoding": {"kind": "greedy"}}).max_positions
        == 256
    )
