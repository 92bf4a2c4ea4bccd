from __future__ import annotations

import functools
import hashlib
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.data import bpe
from harness.data.build_tokenizer import build_tokenizer
from harness.data.corpus import load_corpus
from harness.data.reference import FilesCorpus
from harness.data.tokenizer import (
    BOS_ID,
    EOS_ID,
    FIRST_BYTE_ID,
    PAD_ID,
    BpeConfig,
    BytesConfig,
    Tokenizer,
    tokenizer_config,
)
from harness.errors import CorpusError

AWKWARD = [
    "",
    " ",
    "\n",
    "   indented\n\n\n  twice  ",
    "\u2581",
    "a\u2581b \u2581 \u2581\u2581\n\u2581",
    "\0",
    "a\0b\0",
    "<unk> <s> </s> <pad> <0x41> <\npad> <\nunk>",
    "\r\n\t\v\f\x1b\x7f\x85\u2028\u2029",
    "🙂👩‍👩‍👧 e\u0301 é \ufeff\ufffd\u2047\u2585",
    "\U0010ffff\ue000\ufffe",
    "x" * 9001,
    " " * 9001 + "\n" + "日本語" * 3000,
]


@functools.cache
def learnt() -> bpe.BpeTokenizer:
    return bpe.BpeTokenizer(
        bpe.train(load_corpus("python-docs").sentences("train"), vocab_size=600, what="docs")
    )


def tokenizer(kind: str) -> Tokenizer:
    return learnt() if kind == "bpe" else build_tokenizer(BytesConfig(), load_corpus("python-docs"))


KINDS = pytest.mark.parametrize("kind", ["bpe", "bytes"])


def assert_exact(tokens: Tokenizer, text: str) -> None:
    ids = tokens.encode(text)
    assert tokens.decode(ids) == text
    assert all(EOS_ID < index < tokens.vocab_size for index in ids)
    array = tokens.encode_array(text)
    assert array.dtype == np.int32
    assert array.tolist() == ids


@KINDS
@pytest.mark.parametrize("text", AWKWARD, ids=range(len(AWKWARD)))
def test_awkward_text_comes_back(kind: str, text: str) -> None:
    assert_exact(tokenizer(kind), text)


@KINDS
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(st.text() | st.sampled_from([*AWKWARD[:10], "the ", "ing"]), max_size=8).map("".join))
def test_any_text_comes_back(kind: str, text: str) -> None:
    assert_exact(tokenizer(kind), text)


@KINDS
def test_a_corpus_comes_back_in_fewer_tokens_than_bytes(kind: str) -> None:
    tokens, text = tokenizer(kind), load_corpus("python-docs").text("test")
    assert_exact(tokens, text)
    assert len(tokens.encode(text)) / len(text.encode()) < (0.55 if kind == "bpe" else 1.01)


@KINDS
def test_special_and_broken_ids(kind: str) -> None:
    tokens = tokenizer(kind)
    half = tokens.encode("é")[:1] if kind == "bytes" else tokens.encode("\u2581")[:1]
    assert tokens.decode([BOS_ID, *tokens.encode("go"), EOS_ID, PAD_ID]) == "go"
    assert tokens.decode(half) == "\ufffd"


def test_a_line_end_is_one_token_of_its_own() -> None:
    """Only so may lines be encoded apart, and fast."""
    tokens = learnt()
    (end,) = tokens.encode("\n")
    text = "if True:\n\n    pass\n"
    lines = [tokens.encode(line) for line in text.split("\n")]
    joined = [index for line in lines for index in [*line, end]][:-1]
    assert tokens.encode(text) == joined


def test_ids_are_the_ones_that_the_configs_promise() -> None:
    assert BytesConfig().vocab_size == 259
    assert tokenizer("bytes").encode("\0A") == [FIRST_BYTE_ID, FIRST_BYTE_ID + 65]
    assert learnt().vocab_size == 600
    assert tokenizer_config({"kind": "bpe", "vocab_size": 2048}) == BpeConfig(vocab_size=2048)
    assert tokenizer_config(BytesConfig()) == BytesConfig()
    with pytest.raises(ValidationError, match="kind"):
        tokenizer_config({"kind": "words"})


def test_training_is_the_same_to_the_bit_in_another_process() -> None:
    code = (
        "import hashlib; from harness.data import bpe; from harness.data.corpus import load_corpus;"
        "lines = load_corpus('python-docs').sentences('train');"
        "print(hashlib.sha256(bpe.train(lines, vocab_size=600, what='docs')).hexdigest())"
    )
    digests = {
        subprocess.check_output([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, text=True).strip()
        for seed in ("1", "2")
    }
    assert digests == {learnt().digest}


def test_learnt_from_the_training_split_alone(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(load_corpus("python-docs").text("train"))
    digests = []
    for held_out in ("zebra " * 5000, "quagga " * 5000):
        (tmp_path / "test.txt").write_text(held_out)
        corpus = load_corpus(
            FilesCorpus(train=(str(tmp_path / "train.txt"),), test=(str(tmp_path / "test.txt"),))
        )
        digests.append(build_tokenizer(BpeConfig(vocab_size=600), corpus).digest)
    assert digests[0] == digests[1] == learnt().digest


def test_trained_once_cached_and_trained_again_when_the_cache_is_damaged(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings: list[int] = []

    def counted(*arguments: Any, **keywords: Any) -> bytes:
        trainings.append(1)
        return train(*arguments, **keywords)

    train = bpe.train
    monkeypatch.setattr(bpe, "train", counted)
    corpus, config = load_corpus("python-docs"), BpeConfig(vocab_size=600)
    first, second = build_tokenizer(config, corpus), build_tokenizer(config, corpus)
    assert (len(trainings), first.digest) == (1, second.digest)
    (path,) = (path for path in (cache / "tokenizers").iterdir() if path.name != ".lock")
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    assert build_tokenizer(config, corpus).digest == first.digest
    assert len(trainings) == 2
    build_tokenizer(BpeConfig(vocab_size=700), corpus)
    assert len(trainings) == 3


def test_text_that_is_spelt_like_special_tokens_can_be_learnt_from() -> None:
    lines = ["<0x41> <unk> <s> <0x0A> \0 \u2581 \u2585 foo" for _ in range(500)] + [
        "all the other words are here"
    ] * 9
    tokens = bpe.BpeTokenizer(bpe.train(lines, vocab_size=300, what="odd"))
    assert_exact(tokens, "".join(lines))
    assert len(tokens.encode("<unk>")) < 5


def test_the_training_sample_is_capped_and_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpe, "SAMPLE_CHARACTERS", 1000)
    lines = [f"{number:010}" for number in range(1000)]
    sample = list(bpe.training_sample(lines))
    assert sample == lines[::10]
    assert list(bpe.training_sample(["x" * 9000])) == ["x" * 4000, "x" * 4000, "x" * 1000]


@pytest.mark.parametrize(
    ("size", "reason"), [(9999, "Please set it to a value <="), (300, "smaller than required")]
)
def test_a_vocabulary_that_does_not_fit_the_text(tmp_path: Path, size: int, reason: str) -> None:
    rare = "".join(chr(0x4E00 + zlib.crc32(bytes([number])) % 20_000) for number in range(200))
    (tmp_path / "a.txt").write_text(f"{rare}\n" * 20)
    corpus = load_corpus(FilesCorpus(train=(str(tmp_path / "a.txt"),)))
    with pytest.raises(CorpusError, match=f"a tokenizer of {size} tokens cannot be learnt from .*{reason}"):
        build_tokenizer(BpeConfig(vocab_size=size), corpus)


def test_nothing_to_learn_from() -> None:
    with pytest.raises(CorpusError, match="from 'void': it has no text"):
        bpe.train(["", ""], vocab_size=300, what="void")


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"), [("wikitext-2", 2048), ("wikitext-2", 8000), ("tatoeba-en-es", 8000)]
)
def test_every_corpus_comes_back(real: None, name: str, size: int) -> None:
    corpus = load_corpus(name)
    tokens = build_tokenizer(BpeConfig(vocab_size=size), corpus)
    assert tokens.vocab_size == size
    for split in corpus.splits:
        text = "\n".join(corpus.sentences(split))
        assert (
            hashlib.sha256(tokens.decode(tokens.encode(text)).encode()).digest()
            == hashlib.sha256(text.encode()).digest()
        )
