"""Which scores can measure a text."""

from __future__ import annotations

import pytest

from harness.scoring.fit import WORDS_NEEDED, why_unfit

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
