"""Which scores can measure a text."""

from __future__ import annotations

import random

import pytest

from harness.scoring.fit import WORDS_NEEDED, why_unfit
from harness.scoring.scores.rouge import rouge
from harness.scoring.scores.translation import bleu

CHINESE = ("我们明天去北京的图书馆看书。", "今天天气很好 ok 你好吗 我很好")
RUSSIAN = ("В 2010 году она уехала в Москву и больше не возвращалась.",) * 3
SPANISH = ("Mañana iré a la biblioteca con mi hermano.", "Hola.", "¿Dónde está el gato?")
THAI = ("ฉันจะไป ห้องสมุด พรุ่งนี้ กับพี่ชาย ของฉัน",)


@pytest.mark.parametrize(
    ("references", "unfit"),
    [
        (SPANISH, set()),
        (RUSSIAN, {"rouge1", "rouge2", "rougeL"}),
        (CHINESE, set(WORDS_NEEDED)),
        (THAI, set(WORDS_NEEDED)),
        (("No.", "Yes."), {"bleu", "rouge2"}),
    ],
)
def test_scores_that_see_less_than_half_of_the_letters_do_not_fit(
    references: tuple[str, ...], unfit: set[str]
) -> None:
    names = (*WORDS_NEEDED, "chrf", "model_score")
    assert {name for name in names if why_unfit(name, references, "")} == unfit


@pytest.mark.parametrize("tokenizer", ["zh", "char"])
def test_a_tokenizer_of_characters_fits_text_without_spaces(tokenizer: str) -> None:
    for name in WORDS_NEEDED:
        assert why_unfit(name, CHINESE, f"nrefs:1|tok:{tokenizer}|version:2") == ""
    assert why_unfit("ter", CHINESE, "tok:tercom|norm:no|tok:char") == ""
    assert "only 0 % of their letters" in why_unfit("bleu", CHINESE[:1], "nrefs:1|tok:13a")


SCRIPTS = {  # the first letter, the number of letters, and what is between words
    "Latin": ("a", 26, " "),
    "Latin with accents": ("à", 20, " "),
    "Cyrillic": ("а", 32, " "),
    "Greek": ("α", 17, " "),
    "Hebrew": ("א", 20, " "),
    "Arabic": ("ب", 16, " "),
    "Devanagari": ("क", 30, " "),
    "Hangul": ("가", 500, " "),
    "Georgian": ("ა", 30, " "),
    "Ethiopic": ("ሀ", 50, " "),
    "Thai": ("ก", 40, ""),
    "Khmer": ("ក", 30, ""),
    "Burmese": ("က", 30, ""),
    "Hiragana": ("あ", 60, ""),
    "half-width Katakana": ("ｱ", 40, ""),
    "Han": ("一", 3000, ""),
    "rare Han": ("\U00020000", 3000, ""),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_score_that_fits_a_script_sees_that_half_of_the_words_are_others(script: str) -> None:
    """By the scores themselves: 1 for the references, and about a half for these outputs."""
    first, letters, between = SCRIPTS[script]
    draw = random.Random(0)

    def word() -> str:
        return "".join(chr(ord(first) + draw.randrange(letters)) for _ in range(4))

    sentences = [[word() for _ in range(8)] for _ in range(40)]
    references = tuple(map(between.join, sentences))
    outputs = [between.join([*words[:4], word(), word(), word(), word()]) for words in sentences]
    fitting = {name for name in ("bleu", "rouge1", "rouge2", "rougeL") if not why_unfit(name, references, "")}
    assert fitting == (
        {"bleu", "rouge1", "rouge2", "rougeL"} if script == "Latin" else {"bleu"} if between else set()
    )
    for name in fitting:
        perfect, half = (
            (bleu(side, references) if name == "bleu" else rouge(side, references)[name]).corpus_score
            for side in (references, outputs)
        )
        assert 0.2 * perfect < half < 0.6 * perfect
    assert between or all(why_unfit(name, references, "") for name in WORDS_NEEDED)
