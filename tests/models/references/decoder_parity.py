"""What every decoder-only family must show against its reference; a family is a subclass with a fixture
`pair`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from harness.models.config import CacheKind, ModelConfig
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch
from harness.models.decoding.greedy import greedy
from harness.models.init import build_model
from harness.models.transformer import Transformer
from tests.models.references.beams import Stop, assert_beams_agree, reference_beams
from tests.models.references.reference import assert_agree, float64_throughout, random_tokens

VOCAB_SIZE = 41
TOKENS = random_tokens(3, 14, vocab_size=VOCAB_SIZE)
# Rows of 14, 9 and 3 tokens, padded on the left.
LEFT_PADDED = torch.arange(14) >= torch.tensor([[0], [5], [11]])


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderPair:
    """Two models with the same weights."""

    ours: Transformer
    reference: Any

    @torch.no_grad()
    def reference_logits(self, valid: Tensor | None = None) -> Tensor:
        """Of TOKENS; padding is not counted as a position."""
        settings = {}
        if valid is not None:
            settings["attention_mask"] = valid.long()
            if self.reference.config.model_type != "bloom":  # it counts the mask by itself
                settings["position_ids"] = (valid.cumsum(1) - 1).clamp(min=0)
        with float64_throughout():
            logits: Tensor = self.reference(TOKENS, **settings).logits
        return logits

    def reference_generation(self, **settings: Any) -> Any:
        """What its own loop and cache make of TOKENS, padded on the left."""
        with float64_throughout():
            return self.reference.generate(
                TOKENS * LEFT_PADDED,
                attention_mask=LEFT_PADDED.long(),
                do_sample=False,
                pad_token_id=0,
                return_dict_in_generate=True,
                output_scores=True,
                **settings,
            )


def empty_decoder(**settings: Any) -> Transformer:
    """Ours in float64, its weights to be replaced; sizes are those that the references are given too."""
    sizes = {"vocab_size": VOCAB_SIZE, "d_model": 24, "n_layers": 3, "n_heads": 4, "d_ff": 40}
    config = ModelConfig.model_validate({**sizes, "max_positions": 48, **settings})
    return build_model(config, 0, dtype=torch.float64).eval()


class DecoderParity:
    @torch.no_grad()
    def test_logits_agree(self, pair: DecoderPair) -> None:
        assert_agree(pair.ours(TOKENS), pair.reference_logits())

    @torch.no_grad()
    def test_logits_of_rows_padded_on_the_left_agree(self, pair: DecoderPair) -> None:
        logits = pair.ours(TOKENS, valid=LEFT_PADDED)
        assert_agree(logits[LEFT_PADDED], pair.reference_logits(LEFT_PADDED)[LEFT_PADDED])

    @pytest.mark.parametrize("kind", ["dynamic", "static", "doubling"])
    @pytest.mark.parametrize("valid", [None, LEFT_PADDED], ids=["whole", "padded"])
    @torch.no_grad()
    def test_logits_in_pieces_through_a_cache_agree(
        self, pair: DecoderPair, kind: CacheKind, valid: Tensor | None
    ) -> None:
        cache = pair.ours.new_cache(kind, batch=3, capacity=14)
        logits = []
        for start, end in ((0, 4), (4, 5), (5, 6), (6, 10), (10, 14)):
            piece = None if valid is None else valid[:, start:end]
            logits.append(pair.ours(TOKENS[:, start:end], cache=cache, valid=piece))
        real = torch.ones_like(LEFT_PADDED) if valid is None else valid
        assert_agree(torch.cat(logits, dim=1)[real], pair.reference_logits(valid)[real])

    def test_greedy_tokens_agree(self, pair: DecoderPair) -> None:
        expected = pair.reference_generation(eos_token_id=None, max_new_tokens=20).sequences[:, 14:]
        assert len(set(expected.flatten().tolist())) > 5  # a constant continuation would show little
        for kind in get_args(CacheKind):
            tokens = greedy(pair.ours, TOKENS, new_tokens=20, cache=kind, valid=LEFT_PADDED)
            assert tokens.tolist() == expected.tolist(), f"cache {kind}"

    @pytest.mark.parametrize("stop", ["enough", "bound"])
    def test_beams_agree_token_for_token(self, pair: DecoderPair, stop: Stop) -> None:
        settings = BeamSearch(width=4, n_best=4, stop=stop)
        expected = reference_beams(pair.reference_generation, settings, prompt_tokens=14)
        hypotheses = beam_search(
            pair.ours,
            TOKENS,
            settings,
            new_tokens=expected.new_tokens,
            cache="dynamic",
            end=expected.end,
            valid=LEFT_PADDED,
        )
        assert_beams_agree(hypotheses, expected)
