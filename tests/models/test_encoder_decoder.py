"""Translations decoded together, in beams, with padded sources: each as it is alone."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from harness.models.config import CacheKind, EncoderDecoderConfig
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch, Speculative
from harness.models.decoding.greedy import greedy
from harness.models.decoding.speculative import TargetAndDraft, speculative
from harness.models.encoder_decoder import BoundDecoder, EncoderDecoder
from harness.models.init import build_model

KINDS = get_args(CacheKind)
ROWS, VOCABULARY, END = 6, 17, 8
SOURCES = torch.randint(VOCABULARY, (ROWS, 9), generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([9, 4, 7, 2, 9, 5])
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "n_encoder_layers": 1,
    "n_decoder_layers": 2,
}
SIZES |= {"n_heads": 2, "d_ff": 32, "max_positions": 32, "init_std": 0.7, "tie_embeddings": False}
PADDINGS = (  # rows of 3, 6 and 7 tokens, marked by x
    ("......xxx", "...xxxxxx", "..xxxxxxx"),
    ("xxx......", "xxxxxx...", "xxxxxxx.."),
    ("x......xx", "xx..xxx.x", "xxx..xxxx"),
    (".x..x..x.", "xxx...xxx", ".xxxxx.xx"),
)
PIECES = [4, 1, 2, 1, 1]
START = torch.ones((ROWS, 1), dtype=torch.long)


@pytest.fixture(scope="module")
def translator() -> EncoderDecoder:
    config = EncoderDecoderConfig.model_validate(SIZES)
    model = build_model(config, 1, dtype=torch.float64)
    assert isinstance(model, EncoderDecoder)
    return model.eval()


def together(model: EncoderDecoder) -> BoundDecoder:
    return model.bind(SOURCES, torch.arange(9) < LENGTHS[:, None])


def alone(model: EncoderDecoder, row: int) -> BoundDecoder:
    return model.bind(SOURCES[row : row + 1, : LENGTHS[row]])


def cut(row: list[int]) -> list[int]:
    return row[: row.index(END) + 1] if END in row else row


@pytest.mark.parametrize("windows", [[None], [3, None]], ids=str)
@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary", "relative", "alibi", "none"])
@torch.inference_mode()
def test_padded_sources_and_targets_are_those_alone(position: str, windows: list[int | None]) -> None:
    """Wherever the padding is in each of them, at once and in pieces through every cache."""
    settings = {"position": {"kind": position}, "attention": {"windows": windows}}
    config = EncoderDecoderConfig.model_validate({**SIZES, "n_encoder_layers": 2, **settings})
    model = build_model(config, 1, dtype=torch.float64).eval()
    assert isinstance(model, EncoderDecoder)
    lengths, generator = (3, 6, 7), torch.Generator().manual_seed(2)
    sources, targets = (
        [torch.randint(VOCABULARY, (1, length), generator=generator) for length in lengths] for _ in range(2)
    )
    expected = torch.cat([model(a, b)[0] for a, b in zip(sources, targets, strict=True)])
    for source_marks, target_marks in zip(PADDINGS, (*PADDINGS[1:], PADDINGS[0]), strict=True):
        source, source_valid = padded(sources, source_marks)
        target, target_valid = padded(targets, target_marks)
        logits = model(source, target, source_valid=source_valid, target_valid=target_valid)
        assert logits.isfinite().all()
        torch.testing.assert_close(logits[target_valid], expected, rtol=0, atol=1e-12)
        bound = model.bind(source, source_valid)
        for kind in KINDS[1:]:
            cache = bound.new_cache(kind, batch=3, capacity=9)
            pieces = zip(torch.split(target, PIECES, 1), torch.split(target_valid, PIECES, 1), strict=True)
            logits = torch.cat([bound(piece, cache=cache, valid=real) for piece, real in pieces], dim=1)
            torch.testing.assert_close(logits[target_valid], expected, rtol=0, atol=1e-12)


def padded(rows: list[torch.Tensor], marks: tuple[str, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    valid = torch.tensor([[mark == "x" for mark in row] for row in marks])
    batch = torch.full(valid.shape, 5)
    batch[valid] = torch.cat(rows, dim=1)[0]
    return batch, valid


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_translations_end_each_at_its_own_time(translator: EncoderDecoder, kind: CacheKind) -> None:
    rows = greedy(together(translator), START, new_tokens=20, cache=kind, end=END).tolist()
    for row in range(ROWS):
        expected = greedy(alone(translator, row), START[:1], new_tokens=20, cache="none").tolist()[0]
        assert cut(rows[row]) == cut(expected)
    assert len({len(cut(row)) for row in rows}) > 2


@pytest.mark.parametrize("kind", KINDS)
def test_beams_share_their_source_and_leave_with_it(translator: EncoderDecoder, kind: CacheKind) -> None:
    settings = BeamSearch(width=3, n_best=2)
    rows = beam_search(together(translator), START, settings, new_tokens=20, cache=kind, end=END)
    for row in range(ROWS):
        source = alone(translator, row)
        (expected,) = beam_search(source, START[:1], settings, new_tokens=20, cache="none", end=END)
        assert [hypothesis.tokens for hypothesis in rows[row]] == [
            hypothesis.tokens for hypothesis in expected
        ]
        assert [hypothesis.score for hypothesis in rows[row]] == pytest.approx(
            [hypothesis.score for hypothesis in expected]
        )
    assert len({len(row[0].tokens) for row in rows}) > 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_translator_can_be_drafted_for(translator: EncoderDecoder, kind: CacheKind) -> None:
    draft = build_model(translator.config, 1, dtype=torch.float64)
    assert isinstance(draft, EncoderDecoder)
    with torch.no_grad():
        for number, parameter in enumerate(draft.parameters()):
            noise = torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(number), dtype=torch.float64
            )
            parameter.add_(0.05 * noise)
    pair = TargetAndDraft(target=together(translator), draft=together(draft.eval()))
    made = speculative(pair, START, Speculative(draft_tokens=3), new_tokens=20, cache=kind, end=END)
    expected = greedy(together(translator), START, new_tokens=20, cache="static", end=END)
    assert made.tokens.tolist() == expected.tolist()
    assert 0.0 < made.acceptance_rate < 1.0
