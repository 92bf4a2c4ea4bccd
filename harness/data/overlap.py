"""How much of a held-out text occurs in the text that a model was trained on.

Running text is compared by windows of `WINDOW` characters: the share of the held-out windows, at every
character, that occur in the training text. Pairs are compared as sentences: the share of the held-out pairs
whose source and whose target both occur in the training text, without case, punctuation and spaces. (Brown et
al. 2020, appendix C, compare 13-grams of words in the same way.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.config import digest
from harness.data.cache import cache_dir, read_checksummed, write_checksummed
from harness.data.content import Corpus, Pair

WINDOW = 50
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no character of a window is lost modulo 2^64
_PART = 2**18
_BUCKETS, _BUCKET_SHIFT = 2**24, np.uint64(64 - 24)


def overlap(training: Corpus, held_out: Corpus, split: str) -> float:
    """The share, from 0 to 1, of a split that occurs in the training split of another corpus, or of the same.

    It is measured once and cached by the content of both. It is 0 if one of them is pairs and the other
    running text. Raises CorpusError as reading them does.
    """
    if training.kind != held_out.kind or training.kind == "vectors":
        return 0.0
    identity = {"training": training.digest, "held_out": held_out.digest, "split": split, "window": WINDOW}
    path = cache_dir() / "overlaps" / digest(identity)
    stored = read_checksummed(path)
    if stored is None:
        if training.kind == "pairs":
            share = share_of_pairs(training.pairs("train"), held_out.pairs(split))
        else:
            share = share_of_windows(training.text("train"), held_out.text(split))
        stored = json.dumps(share).encode()
        write_checksummed(path, stored)
    return float(json.loads(stored))


def held_out_note(training: Corpus, held_out: Corpus, split: str) -> dict[str, Any]:
    """What a trial notes of the text that its model was evaluated on: the names of the text and of the corpus
    of the training, and how much of the text occurs in it.
    """
    share = overlap(training, held_out, split)
    return {"held_out": {"text": f"{held_out.name} {split}", "training": training.name, "share": share}}


def share_of_windows(training: str, held_out: str) -> float:
    """The share of the windows of `held_out` that occur in `training`. A text that is shorter than a window
    is one window.
    """
    width = min(WINDOW, len(held_out))
    if not width or len(training) < width:
        return 0.0
    wanted = np.concatenate(list(_windows(held_out, width)))
    likely = np.zeros(_BUCKETS, dtype=np.bool_)  # almost every window of another text is ruled out here
    likely[wanted >> _BUCKET_SHIFT] = True
    seen = [part[likely[part >> _BUCKET_SHIFT]] for part in _windows(training, width)]
    return float(np.isin(wanted, np.concatenate(seen)).mean())


def share_of_pairs(training: Iterable[Pair], held_out: Iterable[Pair]) -> float:
    """The share of the held-out pairs whose two sides both occur in the training pairs, together or apart."""
    sources, targets = set(), set()
    for pair in training:
        sources.add(_plain(pair.source))
        targets.add(_plain(pair.target))
    seen = [_plain(pair.source) in sources and _plain(pair.target) in targets for pair in held_out]
    return sum(seen) / len(seen) if seen else 0.0


def _plain(text: str) -> bytes:
    """A digest of the letters and digits of a sentence, without case."""
    return hashlib.blake2b("".join(filter(str.isalnum, text.casefold())).encode(), digest_size=8).digest()


def _windows(text: str, width: int) -> Iterator[NDArray[np.uint64]]:
    """A hash of every window of `width` characters, a part of the text at a time."""
    for start in range(0, len(text) - width + 1, _PART):
        yield _hashes(text[start : start + _PART + width - 1], width)


def _hashes(text: str, width: int) -> NDArray[np.uint64]:
    """Σ c_i · base^(width − 1 − i) modulo 2^64 of every window, from the sums of windows of 1, 2, 4 …
    characters, so that 50 characters take eight passes over the text. The high bits are mixed best.
    """
    powers = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64) + np.uint64(1)
    hashes, done, size, factor = np.zeros(len(powers), dtype=np.uint64), 0, 1, _BASE
    with np.errstate(over="ignore"):
        while True:
            if width & size:
                ahead = powers[done : len(powers)]
                hashes = hashes[: len(ahead)] * factor + ahead
                done += size
            if size * 2 > width:
                return hashes[: len(text) - width + 1]
            powers = powers[: len(powers) - size] * factor + powers[size:]
            size, factor = size * 2, factor * factor
