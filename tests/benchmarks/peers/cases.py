"""What is compared: sizes, peers and targets. Torch-free, so that the driver starts at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "bf16"]
Tuning = Literal["stock", "tuned"]

# Tuned: glibc keeps what is freed, instead of giving it back to the system and faulting it in again at every step.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "67108864",
}


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
    """`tokens` are the target's in training, the new ones of a row in decoding; `prompt` is decoding's alone."""

    name: str
    task: Literal["train", "train-pair", "decode"]
    size: Size
    batch: int
    tokens: int
    peers: tuple[Peer, ...]
    prompt: int = 0
    precision: Precision = "fp32"
    compiled: bool = False
    repeats: int = 1

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


_OTHERS = (Peer(name="nn.TransformerEncoder"), Peer(name="nanoGPT-like"))
_OTHERS_TUNED = (
    Peer(name="nn.TransformerEncoder", tuning="tuned"),
    Peer(name="nanoGPT-like", tuning="tuned"),
)

CASES = (
    _training(
        "train decoder fp32",
        peers=(
            Peer(name="HF GPT-2", target=2.2),
            Peer(name="HF GPT-2", tuning="tuned", target=1.1),
            *_OTHERS,
            *_OTHERS_TUNED,
        ),
    ),
    _training(
        "train decoder bf16",
        precision="bf16",
        peers=(
            Peer(name="HF GPT-2", target=1.5),
            Peer(name="HF GPT-2", tuning="tuned"),
            *_OTHERS,
            *_OTHERS_TUNED,
        ),
    ),
    _training(
        "train decoder fp32 compiled",
        compiled=True,
        peers=(Peer(name="HF GPT-2", target=2.0), Peer(name="nanoGPT-like")),
    ),
    _training(
        "train decoder bf16 compiled",
        precision="bf16",
        compiled=True,
        peers=(Peer(name="HF GPT-2", target=1.2), Peer(name="nanoGPT-like")),
    ),
    _training(
        "train encoder-decoder fp32",
        task="train-pair",
        peers=(
            Peer(name="HF Marian", target=2.0),
            Peer(name="HF Marian", tuning="tuned"),
            Peer(name="nn.Transformer", target=2.0),
            Peer(name="nn.Transformer", tuning="tuned"),
        ),
    ),
    _training(
        "train encoder-decoder bf16",
        task="train-pair",
        precision="bf16",
        peers=(Peer(name="HF Marian", target=1.2), Peer(name="nn.Transformer", target=1.2)),
    ),
    _decoding(
        "decode S/1",
        size=SMALL,
        batch=1,
        peers=(
            Peer(name="HF GPT-2", target=3.0),
            Peer(name="HF GPT-2", tuning="tuned"),
            Peer(name="CTranslate2"),
        ),
    ),
    _decoding(
        "decode S/16",
        size=SMALL,
        batch=16,
        peers=(
            Peer(name="HF GPT-2"),
            Peer(name="HF GPT-2", tuning="tuned"),
            Peer(name="CTranslate2", target=1.3),
        ),
    ),
    _decoding(
        "decode L/1",
        size=LARGE,
        batch=1,
        peers=(Peer(name="HF GPT-2", target=2.0), Peer(name="CTranslate2")),
    ),
    _decoding(
        "decode L/16",
        size=LARGE,
        batch=16,
        peers=(Peer(name="HF GPT-2"), Peer(name="CTranslate2", target=2.0)),
    ),
)
