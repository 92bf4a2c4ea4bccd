"""What is compared: sizes, peers and targets. Torch-free, so that the driver starts at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "bf16"]
Tuning = Literal["stock", "tuned"]


@dataclass(frozen=True, kw_only=True)
class Size:
    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int
    vocab_size: int = 8000


SMALL = Size(d_model=256, n_layers=4, n_heads=4, d_ff=1024)
LARGE = Size(d_model=512, n_layers=8, n_heads=8, d_ff=2048)
PAIR = Size(d_model=256, n_layers=3, n_heads=4, d_ff=1024)  # three layers on either side
LARGE_PAIR = Size(d_model=512, n_layers=6, n_heads=8, d_ff=2048)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another implementation, as it comes or tuned like ours, and the least ratio that ours should reach."""

    name: str
    tuning: Tuning = "stock"
    target: float | None = None

    @property
    def label(self) -> str:
        return f"{self.name}, {self.tuning}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """`tokens` are the target's in training, the new ones of a row in decoding; `prompt` is the prompt's or
    the source's.
    """

    name: str
    task: Literal["train", "train-pair", "decode", "beam"]
    size: Size
    batch: int
    tokens: int
    peers: tuple[Peer, ...]
    prompt: int = 0
    precision: Precision = "fp32"
    compiled: bool = False
    beams: int = 1

    @property
    def tokens_per_unit(self) -> int:
        return self.batch * self.tokens


def _training(
    name: str,
    *,
    peers: tuple[Peer, ...],
    task: Literal["train", "train-pair"] = "train",
    precision: Precision = "fp32",
    compiled: bool = False,
) -> Case:
    pair = task == "train-pair"
    return Case(
        name=name,
        task=task,
        size=PAIR if pair else SMALL,
        batch=64 if pair else 16,
        tokens=32 if pair else 128,
        peers=peers,
        precision=precision,
        compiled=compiled,
    )


def _decoding(name: str, *, size: Size, batch: int, peers: tuple[Peer, ...]) -> Case:
    return Case(
        name=name,
        task="decode",
        size=size,
        batch=batch,
        tokens=128,
        prompt=32,
        peers=peers,
    )


def _beam(name: str, *, size: Size, peers: tuple[Peer, ...]) -> Case:
    return Case(name=name, task="beam", size=size, batch=16, tokens=32, prompt=32, beams=5, peers=peers)


def _stock_and_tuned(name: str, stock: float | None = None, tuned: float | None = None) -> tuple[Peer, Peer]:
    return Peer(name=name, target=stock), Peer(name=name, tuning="tuned", target=tuned)


CASES = (
    _training(
        "train decoder fp32",
        peers=(
            *_stock_and_tuned("HF GPT-2", 2.2, 1.1),
            *_stock_and_tuned("nn.TransformerEncoder"),
            *_stock_and_tuned("nanoGPT-like"),
        ),
    ),
    _training(
        "train decoder bf16",
        precision="bf16",
        peers=(
            *_stock_and_tuned("HF GPT-2", 1.5),
            *_stock_and_tuned("nn.TransformerEncoder"),
            *_stock_and_tuned("nanoGPT-like"),
        ),
    ),
    _training(
        "train decoder fp32 compiled",
        compiled=True,
        peers=(*_stock_and_tuned("HF GPT-2", 2.0), *_stock_and_tuned("nanoGPT-like")),
    ),
    _training(
        "train decoder bf16 compiled",
        precision="bf16",
        compiled=True,
        peers=(*_stock_and_tuned("HF GPT-2", 1.2), *_stock_and_tuned("nanoGPT-like")),
    ),
    _training(
        "train encoder-decoder fp32",
        task="train-pair",
        peers=(*_stock_and_tuned("HF Marian", 2.0), *_stock_and_tuned("nn.Transformer", 2.0)),
    ),
    _training(
        "train encoder-decoder bf16",
        task="train-pair",
        precision="bf16",
        peers=(*_stock_and_tuned("HF Marian", 1.2), *_stock_and_tuned("nn.Transformer", 1.2)),
    ),
    _decoding(
        "decode S/1",
        size=SMALL,
        batch=1,
        peers=(*_stock_and_tuned("HF GPT-2", 3.0), Peer(name="CTranslate2")),
    ),
    _decoding(
        "decode S/16",
        size=SMALL,
        batch=16,
        peers=(*_stock_and_tuned("HF GPT-2"), *_stock_and_tuned("CTranslate2", 1.3)),
    ),
    _decoding(
        "decode L/1",
        size=LARGE,
        batch=1,
        peers=(*_stock_and_tuned("HF GPT-2", 2.0), Peer(name="CTranslate2")),
    ),
    _decoding(
        "decode L/16",
        size=LARGE,
        batch=16,
        peers=(*_stock_and_tuned("HF GPT-2"), *_stock_and_tuned("CTranslate2", 2.0)),
    ),
    _beam(
        "beam 5, 256/3+3",
        size=PAIR,
        peers=(*_stock_and_tuned("HF Marian", 2.5), *_stock_and_tuned("CTranslate2", 1.0)),
    ),
    _beam(
        "beam 5, 512/6+6",
        size=LARGE_PAIR,
        peers=(*_stock_and_tuned("HF Marian", 2.5), *_stock_and_tuned("CTranslate2", 1.0)),
    ),
)
