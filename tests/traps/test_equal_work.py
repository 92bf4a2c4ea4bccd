"""Who was fooled: those whose arm wrote less, read an easier text, was measured with another ruler, or learnt
the text that it was tested on.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.analysis.frames import MemoryFrames
from harness.analysis.validity.warnings import bundled_warnings, unknown_texts, untuned_warnings
from harness.errors import CorpusError, StudyError
from harness.report.inputs import ReportInput
from harness.report.sections.settings import settings_view
from harness.study.load import load_study
from harness.tasks.train import Train
from harness.tasks.work import fingerprint_of_texts
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import claim, spoil_trials
from tests.analysis.written import Written, written_study
from tests.support.tiny_study import RECIPE, put
from tests.tasks.tiny_recipes import RECIPE as TRAINING
from tests.traps.stored import judged

WRITING = """\
study: tiny
question: Which is better?
task: continue_text
base:
  model: {recipe: small}
  prompts: {corpus: python-docs, split: valid, count: 8, tokens: 8}
  new_tokens: 24
compare:
  cache:
    - plain: {cache: dynamic}
    - ours: {cache: static, LEVEL}
design: {rounds: 8}
primary: sentence_seconds
"""
LEARNING = """\
study: tiny
question: Which learns better?
task: train
base:
  corpus: python-docs
  tokenizer: {kind: bytes}
  model: {d_model: 16, n_layers: 1, n_heads: 2, d_ff: 32, max_positions: 64}
  batch: 4
  length: 32
  updates: 4
  optimizer: {kind: adamw, lr: 1e-3}
compare:
  way:
    - plain: {clip: 1.0}
    - ours: {LEVEL}
design: {seeds: 8}
primary: PRIMARY
"""
OWN_FILE = "{kind: files, files: [easy.txt]}"


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(StudyError) as caught:
        load_study(put(folder, text))
    assert caught.value.exit_code == 2
    return str(caught.value).removeprefix(f"{folder}/studies/tiny.yaml:")


def learning(level: str, primary: str = "validation_loss") -> str:
    return LEARNING.replace("LEVEL", level).replace("PRIMARY", primary)


@pytest.mark.parametrize(
    ("level", "quantities"),
    [
        ("new_tokens: 8", ["new tokens is 64", "but 192 for the baseline"]),  # trap 2
        ("prompts.corpus: tatoeba-en-es", ["sources is tatoeba-en-es valid"]),  # trap 4
        ("prompts.split: test", ["references is python-docs test"]),
        ("prompts.count: 2", ["sentences is 2", "prompt tokens is 16"]),
        ("batch: 4", ["batch is 4"]),
    ],
)
def test_an_arm_that_writes_less_or_on_other_texts(tmp_path: Path, level: str, quantities: list[str]) -> None:
    message = refusal(tmp_path, WRITING.replace("LEVEL", level))
    assert message.startswith("8:1: arms must do the same work on the same text: ")
    assert all(quantity in message for quantity in quantities)


@pytest.mark.parametrize("level", ["units: 5", "warm_up: {at_most: 5}", "warm_up.at_most: 5"])
def test_an_arm_that_is_timed_after_a_longer_warm_up(tmp_path: Path, level: str) -> None:
    """Trap 3."""
    message = refusal(tmp_path, WRITING.replace("LEVEL", level))
    assert message.startswith("11:29: ")
    assert "says how arms are measured, so it must be the same in all of them, but cache=ours has " in message
    assert " 5 instead of " in message


def test_an_arm_that_is_evaluated_otherwise(tmp_path: Path) -> None:
    for setting in ("evaluate_every: 1", "evaluation_tokens: 64", "divergence: null"):
        message = refusal(tmp_path, learning(setting))
        assert message.startswith("15:14: ")
        assert "set it under `base`, or under `across`" in message


def test_conditions_may_be_measured_in_several_ways(tmp_path: Path) -> None:
    text = WRITING.replace(", LEVEL", "").replace("design:", "across: {units: [1, 3]}\ndesign:")
    (loaded,) = load_study(put(tmp_path, text))
    assert len(loaded.conditions) == 2


def test_an_arm_that_learns_from_an_easier_file(tmp_path: Path) -> None:
    """Trap 5."""
    message = refusal(tmp_path, learning(f"corpus: {OWN_FILE}"))
    assert "training text is easy.txt" in message
    assert "evaluation text is easy.txt valid" in message
    assert "`parity: {differ: [evaluation_text, training_text]}`" in message


def test_an_arm_that_reads_longer_contexts(tmp_path: Path) -> None:
    """With half the rows it reads as many tokens per update, but it predicts each from more of them."""
    message = refusal(tmp_path, learning("length: 64, batch: 2"))
    assert "length is 64 for way=ours, but 32 for the baseline" in message


def test_an_arm_whose_batches_more_threads_prepare(tmp_path: Path) -> None:
    assert "data workers is 2" in refusal(tmp_path, learning("workers: 2", "update_seconds"))


@pytest.mark.parametrize("level", ["tokenizer: {kind: bpe, vocab_size: 512}", "corpus.share: 0.5"])
def test_a_loss_per_token_of_two_tokenizers(tmp_path: Path, level: str) -> None:
    """Trap 6. A tokenizer that is learnt from a part of the text is another tokenizer, too."""
    text = learning(level)
    if "share" in level:
        text = text.replace("corpus: python-docs", "corpus: {kind: named, name: python-docs}")
        text = text.replace("kind: bytes", "kind: bpe, vocab_size: 512")
    message = refusal(tmp_path, text)
    assert "17:10: validation_loss is counted per token, but way=plain and way=ours have different" in message
    assert message.endswith("use bits_per_byte")
    per_byte = text.replace("primary: validation_loss", "primary: bits_per_byte")
    claim_on_loss = (
        "claims:\n  it: {source: x, says: Better., level: {way: ours}, metric: loss, direction: better}\n"
    )
    assert "19:62: loss is counted per token" in refusal(tmp_path, per_byte + claim_on_loss)
    message = refusal(tmp_path, per_byte)  # what is left is to declare the difference
    declaration = message.partition("`")[2].partition("`")[0]
    assert declaration.startswith("parity: {differ: [")
    assert "tokenizer" in declaration
    assert load_study(put(tmp_path, f"{per_byte}{declaration}\n"))


def test_a_rate_per_token_of_two_tokenizers(tmp_path: Path) -> None:
    text = learning("tokenizer: {kind: bpe, vocab_size: 512}", "training_tokens_per_second")
    assert "training_tokens_per_second is counted per token" in refusal(tmp_path, text)


@pytest.mark.parametrize("setting", ["z_loss: 1e-3", "label_smoothing: 0.1"])
def test_a_training_loss_with_other_terms(tmp_path: Path, setting: str) -> None:
    text = learning(f"loss: {{{setting}}}", "loss")
    message = refusal(tmp_path, text)
    assert message.startswith("17:10: loss contains the label smoothing and the z-loss of the training")
    assert message.endswith("use validation_loss, which contains neither")
    assert load_study(put(tmp_path, text.replace("primary: loss", "primary: validation_loss")))


def test_a_file_to_learn_from_and_to_be_tested_on(tmp_path: Path) -> None:
    """Trap 7: the same file, and a copy of it."""
    same = "corpus: {kind: files, train: [a.txt], valid: [a.txt]}"
    assert "a.txt is under both train and valid" in refusal(tmp_path, learning(same))
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("Two files with one text.\n" * 50)
    corpus = {"kind": "files", "train": [str(tmp_path / "a.txt")], "valid": [str(tmp_path / "b.txt")]}
    with pytest.raises(CorpusError, match=r"has the same content as .*a.txt, so split valid is not held out"):
        Train.read({**TRAINING, "corpus": corpus}).check_text()


@pytest.mark.parametrize(
    ("task", "settings", "metric"),
    [
        ("evaluate", "text: {corpus: python-docs, split: train}", "validation_loss"),
        ("evaluate", "text: {corpus: python-docs, split: train}", "bits_per_byte"),
        (
            "continue_text",
            "prompts: {corpus: python-docs, split: train, count: 8, tokens: 8}\n  new_tokens: 8",
            "bleu",
        ),
    ],
)
def test_a_test_on_the_text_that_was_learnt(tmp_path: Path, task: str, settings: str, metric: str) -> None:
    """Trap 8."""
    text = (
        f"study: tiny\nquestion: Better?\ntask: {task}\nbase:\n  model: {{recipe: small}}\n  {settings}\n"
        "compare: {model.recipe: [small, other]}\ndesign: {seeds: 8}\n"
        f"parity: {{differ: [updates, training_tokens]}}\nprimary: {metric}\n"
    )
    put(tmp_path, text)
    (tmp_path / "studies" / "recipes" / "other.yaml").write_text(RECIPE.replace("updates: 4", "updates: 8"))
    message = refusal(tmp_path, text)
    assert f"{metric} needs text that the model was not trained on, but " in message
    assert "train is the text that recipe small trains on" in message
    if task == "evaluate":
        assert message.endswith("use a split that is held out, or the metric training_text_loss")
        assert load_study(put(tmp_path, text.replace(metric, "training_text_loss")))


@pytest.mark.parametrize(
    ("base", "level"),
    [
        ("model.norm: {kind: layernorm}", "model.norm: {kind: rmsnorm}"),
        ("clip: 1.0", "model.attention: {n_kv_heads: 1}"),
    ],
)
def test_arms_that_must_differ_are_known_before_a_trial_runs(tmp_path: Path, base: str, level: str) -> None:
    """Trap 26: the message has the line to paste."""
    text = learning(level).replace("clip: 1.0", base)
    assert "`parity: {differ: [parameters]}`" in refusal(tmp_path, text)
    assert load_study(put(tmp_path, f"{text}parity: {{differ: [parameters]}}\n"))


def test_a_declaration_keeps_what_was_declared_before(tmp_path: Path) -> None:
    text = (
        learning("model.norm: {kind: rmsnorm}, updates: 8") + "parity: {match: [flops], differ: [updates]}\n"
    )
    message = refusal(tmp_path, text)
    assert message.startswith("18:1: ")
    assert "`parity: {match: [flops], differ: [parameters, training_tokens, updates]}`" in message


def test_optimizers_with_any_learning_rates(tmp_path: Path) -> None:
    """Trap 17: the report says what each level sets, and warns."""
    text = learning("optimizer: {kind: lion, lr: 3e-3}").replace(
        "clip: 1.0", "optimizer: {kind: adamw, lr: 1e-6}"
    )
    (loaded,) = load_study(put(tmp_path, text))
    (warning,) = untuned_warnings(loaded)
    assert warning.startswith("optimizers are compared (adamw, lion) with learning rates that were not tuned")
    view = settings_view(cast(ReportInput, SimpleNamespace(loaded=loaded)))
    assert view is not None
    shown = {row.setting: (row.baseline, row.value) for row in view.rows}
    assert shown["optimizer.lr"] == ("1e-06", "0.003")
    tuned = text.replace("seeds: 8", "seeds: 8, tune: {grid: {optimizer.lr: [1e-6, 1e-3, 3e-3]}}")
    assert list(untuned_warnings(load_study(put(tmp_path, tuned))[0])) == []
    timed = text.replace("primary: validation_loss", "primary: update_seconds").replace(
        "seeds: 8", "rounds: 8"
    )
    assert list(untuned_warnings(load_study(put(tmp_path, timed))[0])) == []


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (
            "evaluation_tokens: [64, 128]",
            "evaluation_tokens says how arms are measured, so it cannot be tuned",
        ),
        ("updates: [4, 8]", "tuning would choose the updates of each arm, so arms could do different work"),
    ],
)
def test_a_search_that_chooses_the_ruler_or_the_work(tmp_path: Path, grid: str, message: str) -> None:
    text = learning("clip: 0.5").replace("seeds: 8", f"seeds: 8, tune: {{grid: {{{grid}}}}}")
    assert message in refusal(tmp_path, text)


def test_a_level_that_changes_more_than_its_name_says(tmp_path: Path) -> None:
    (loaded,) = load_study(put(tmp_path, learning("clip: 0.5, loss: {z_loss: 1e-4}")))
    assert list(bundled_warnings(loaded)) == [
        (
            "level ours of way changes several settings at once (clip, loss), "
            "so an effect may come from any of them"
        )
    ]
    (alone,) = load_study(put(tmp_path, learning("clip: 0.5, compile: false")))
    assert list(bundled_warnings(alone)) == []


CLAIM = {"source": "x", "says": "Better.", "level": {"optimizer": "lion"}, "direction": "better"}


def learned(**spent: Any) -> MemoryFrames:
    """A second arm that learns better, and whose trials spent something else."""
    frames = Learned(loaded=training_study(claims={"it": CLAIM})).frames()
    text = fingerprint_of_texts("wikitext-2 valid", ["the text"])
    common = {"updates": 30.0, "evaluation_text": text, "threads": 1}
    return spoil_trials(
        spoil_trials(frames, lambda _: True, spent=common),
        lambda trial: trial.arm == "optimizer=lion",
        spent={**common, **spent},
    )


@pytest.mark.parametrize(
    ("spent", "verdict", "reason"),
    [
        ({}, "confirmed", ""),
        ({"evaluation_text": fingerprint_of_texts("a copy", ["the text"])}, "confirmed", ""),
        (
            {"evaluation_text": fingerprint_of_texts("wikitext-2 valid", ["another text"])},
            "invalid",
            "confound: evaluation text is wikitext-2 valid (",
        ),
        ({"threads": 2}, "invalid", "confound: threads is 2, but 1 for the baseline"),
        ({"tokenizer": "bytes #1"}, "invalid", "confound: tokenizer is bytes (1), but 0 for the baseline"),
    ],
)
def test_what_trials_were_measured_on_is_compared_by_its_content(
    tmp_path: Path, spent: dict[str, Any], verdict: str, reason: str
) -> None:
    settled = claim(judged(tmp_path, training_study(claims={"it": CLAIM}), learned(**spent)), "it")
    assert (settled.verdict, reason in settled.sentence) == (verdict, True)


def test_a_difference_in_text_that_is_declared(tmp_path: Path) -> None:
    loaded = training_study(claims={"it": CLAIM}, parity={"differ": ["evaluation_text"]})
    frames = learned(evaluation_text=fingerprint_of_texts("python-docs valid", ["manuals"]))
    assert claim(judged(tmp_path, loaded, frames), "it").verdict == "confirmed"


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.0023, "confirmed"), (0.05, "confirmed"), (0.28, "invalid")]
)
def test_a_test_text_that_leaked_into_the_training_text(tmp_path: Path, share: float, verdict: str) -> None:
    """Only metrics of held-out text suffer: the loss of the training itself is as good as before."""
    held_out = {"text": "wikitext-2 valid", "training": "wikitext-2", "share": share}
    claims = {"it": CLAIM, "training": {**CLAIM, "metric": "loss"}}
    loaded = training_study(claims=claims)
    frames = spoil_trials(learned(), lambda _: True, notes={"held_out": held_out})
    analysis = judged(tmp_path, loaded, frames)
    assert claim(analysis, "it").verdict == verdict
    assert claim(analysis, "training").verdict == "confirmed"
    if verdict == "invalid":
        assert "28 % occurs in the text that its model was trained on" in claim(analysis, "it").sentence


def test_a_score_on_sentences_that_were_learnt(tmp_path: Path) -> None:
    better = {"source": "x", "says": "Better.", "level": {"decoding": "beam"}, "direction": "better"}
    loaded = written_study(claims={"it": better})
    frames = Written(right={"greedy": 0.6, "beam": 0.66, "wide": 0.6}, loaded=loaded).frames()
    held_out = {"text": "pairs test", "training": "pairs", "share": 0.5}
    assert claim(judged(tmp_path, loaded, frames), "it").verdict == "confirmed"
    (tmp_path / "leaked").mkdir()
    leaked = spoil_trials(frames, lambda _: True, notes={"held_out": held_out})
    assert claim(judged(tmp_path / "leaked", loaded, leaked), "it").verdict == "invalid"


def test_an_old_run_without_fingerprints_counts_with_a_warning(tmp_path: Path) -> None:
    (loaded,) = load_study(put(tmp_path, learning("clip: 0.5")))
    frames = Learned(loaded=training_study()).frames()
    (warning,) = unknown_texts(loaded, frames)
    assert "did not record the texts that they were measured on" in warning
    assert list(unknown_texts(loaded, learned())) == []
    settled = claim(judged(tmp_path, training_study(claims={"it": CLAIM}), frames), "it")
    assert settled.verdict == "confirmed"
