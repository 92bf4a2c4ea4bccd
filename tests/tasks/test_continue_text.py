"""The windows of text that are continued: no character is cut that need not be, and every byte is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.tasks.continue_text import ContinueText
from tests.tasks.tiny_recipes import continuation

CYRILLIC = "Съешь ещё этих мягких французских булок, да выпей чаю. "
JAPANESE = "いろはにほへとちりぬるをわかよたれそつねならむ"


def task_on(text: str, folder: Path, *, prompt: int, new_tokens: int) -> ContinueText:
    path = folder / "text.txt"
    path.write_text(text)
    corpus = {"kind": "files", "files": [str(path)]}
    prompts = {"corpus": corpus, "split": "train", "count": 20, "tokens": prompt}
    return ContinueText.read(continuation(prompts=prompts, new_tokens=new_tokens))


@pytest.mark.parametrize(
    ("text", "prompt", "new_tokens"),
    [(CYRILLIC, 16, 8), (CYRILLIC, 15, 9), (JAPANESE, 15, 9), ("x\ufffd", 8, 8)],
)
def test_prompts_and_references_are_complete_characters(
    tmp_path: Path, text: str, prompt: int, new_tokens: int
) -> None:
    texts, _, tokenizer = task_on(text * 200, tmp_path, prompt=prompt, new_tokens=new_tokens).texts()
    assert texts.reference_bytes == (new_tokens,) * 20
    for source, reference, ids, reference_ids in zip(
        texts.sources, texts.references, texts.source_ids, texts.reference_ids, strict=True
    ):
        assert source + reference in text * 9
        assert tokenizer.encode(source) == list(ids)
        assert tokenizer.encode(reference) == list(reference_ids)


def test_where_every_window_cuts_a_character_texts_leave_it_out_and_its_bytes_count(tmp_path: Path) -> None:
    """Characters of three bytes, and a prompt of 16: no place fits."""
    texts, *_ = task_on(JAPANESE * 200, tmp_path, prompt=16, new_tokens=8).texts()
    assert all(source in JAPANESE * 2 and len(source) == 5 for source in texts.sources)
    assert all(reference in JAPANESE * 2 and len(reference) == 2 for reference in texts.references)
    assert texts.reference_bytes == (8,) * 20  # six of them in the two characters that are shown
