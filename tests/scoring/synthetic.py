"""A small translation test set: references, and two systems that differ from them in known degrees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WORDS = [
    "el",
    "la",
    "un",
    "una",
    "perro",
    "gato",
    "casa",
    "árbol",
    "niño",
    "corre",
    "come",
    "duerme",
    "mira",
    "está",
    "no",
    "sí",
    "más",
    "qué",
    "cuándo",
    "mañana",
    "ayer",
    "siempre",
    "nunca",
    "Madrid",
    "María",
    "3",
    "1.000",
    "U.S.",
    "don't",
    "well-known,",
    "¿Por",
    "¡Hola!",
    "dijo:",
    "«bien»",
    "(tal",
    "vez)",
    "&quot;x&quot;",
    "fin.",
]


@dataclass(frozen=True)
class Texts:
    references: list[str]
    good: list[str]
    poor: list[str]


def noisy(sentence: str, rate: float, rng: np.random.Generator) -> str:
    """Words replaced, dropped, doubled or moved."""
    words: list[str] = []
    for word in sentence.split():
        fate = rng.random()
        if fate < rate:
            words += [[str(rng.choice(WORDS))], [], [word, word]][int(rng.integers(3))]
        else:
            words.append(word)
    if len(words) > 3 and rng.random() < rate:
        words = [*words[2:], *words[:2]]
    return " ".join(words)


def make_texts(sentences: int, *, good: float = 0.25, poor: float = 0.3, seed: int = 0) -> Texts:
    rng = np.random.default_rng(seed)
    references = [" ".join(rng.choice(WORDS, int(rng.integers(2, 18)))) for _ in range(sentences)]
    return Texts(
        references,
        [noisy(reference, good, rng) for reference in references],
        [noisy(reference, poor, rng) for reference in references],
    )
