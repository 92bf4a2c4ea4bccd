"""What every encoder-decoder family must show against its reference; a family is a subclass with a fixture
`pair`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from harness.models.config import CacheKind, EncoderDecoderConfig
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch
from harness.models.decoding.greedy import greedy
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.init import build_model
from tests.models.references.beams import Stop, assert_beams_agree, reference_beams
from tests.models.references.reference import assert_agree, float64_throughout, random_tokens

VOCAB_SIZE, SOURCE_VOCAB_SIZE = 41, 37
SOURCE = random_tokens(3, 11, vocab_size=SOURCE_VOCAB_SIZE, seed=1)
TARGET = random_tokens(3, 9, vocab_size=VOCAB_SIZE, seed=2)
# The references count padding as positions, so it must stand at the end.
SOURCE_VALID = torch.arange(11) < torch.tensor([[11], [7], [2]])
TARGET_VALID = torch.arange(9) < torch.tensor([[4], [9], [6]])
START = torch.zeros((3, 1), dtype=torch.long)


@dataclass(frozen=True, kw_only=True, slots=True)
class TranslationPair:
    """Two models with the same weights."""

    ours: EncoderDecoder
    reference: Any

    @torch.no_grad()
    def reference_logits(self, *, target_valid: Tensor | None = None) -> Tensor:
        """Of TARGET given SOURCE, whose padding is masked."""
        masks = {} if target_valid is None else {"decoder_attention_mask": target_valid.long()}
        with float64_throughout():
            logits: Tensor = self.reference(
                input_ids=SOURCE, attention_mask=SOURCE_VALID.long(), decoder_input_ids=TARGET, **masks
            ).logits
        return logits

    def reference_generation(self, **settings: Any) -> Any:
        """What its own loop and cache make of SOURCE, beginning with START."""
        with float64_throughout():
            return self.reference.generate(
                input_ids=SOURCE,
                attention_mask=SOURCE_VALID.long(),
                do_sample=False,
                decoder_start_token_id=0,
                pad_token_id=0,
                return_dict_in_generate=True,
                output_scores=True,
                **settings,
            )


def empty_translator(**settings: Any) -> EncoderDecoder:
    """Ours in float64, its weights to be replaced; sizes are those that the references are given too."""
    sizes = {"vocab_size": VOCAB_SIZE, "d_model": 24, "n_encoder_layers": 2, "n_decoder_layers": 3}
    sizes |= {"n_heads": 4, "d_ff": 40, "max_positions": 48}
    config = EncoderDecoderConfig.model_validate({**sizes, **settings})
    return build_model(config, 0, dtype=torch.float64).eval()


class TranslationParity:
    @torch.no_grad()
    def test_logits_given_padded_sources_agree(self, pair: TranslationPair) -> None:
        assert_agree(pair.ours(SOURCE, TARGET, source_valid=SOURCE_VALID), pair.reference_logits())

    @torch.no_grad()
    def test_logits_of_padded_targets_agree(self, pair: TranslationPair) -> None:
        logits = pair.ours(SOURCE, TARGET, source_valid=SOURCE_VALID, target_valid=TARGET_VALID)
        expected = pair.reference_logits(target_valid=TARGET_VALID)
        assert_agree(logits[TARGET_VALID], expected[TARGET_VALID])

    @pytest.mark.parametrize("kind", ["dynamic", "static", "doubling"])
    @torch.no_grad()
    def test_logits_in_pieces_through_a_cache_agree(self, pair: TranslationPair, kind: CacheKind) -> None:
        bound = pair.ours.bind(SOURCE, SOURCE_VALID)
        cache = bound.new_cache(kind, batch=3, capacity=9)
        hidden = [
            pair.ours.decode(TARGET[:, start:end], bound.memory, cache=cache)
            for start, end in ((0, 3), (3, 4), (4, 5), (5, 9))
        ]
        assert_agree(pair.ours.output.logits(torch.cat(hidden, dim=1)), pair.reference_logits())

    def test_greedy_tokens_agree(self, pair: TranslationPair) -> None:
        expected = pair.reference_generation(eos_token_id=None, max_new_tokens=20).sequences[:, 1:]
        assert len(set(expected.flatten().tolist())) > 5  # a constant continuation would show little
        for kind in get_args(CacheKind):
            tokens = greedy(pair.ours.bind(SOURCE, SOURCE_VALID), START, new_tokens=20, cache=kind)
            assert tokens.tolist() == expected.tolist(), f"cache {kind}"

    @pytest.mark.parametrize("stop", ["enough", "bound"])
    @pytest.mark.parametrize("no_repeat_ngram", [None, 2])
    def test_beams_agree_token_for_token(
        self, pair: TranslationPair, stop: Stop, no_repeat_ngram: int | None
    ) -> None:
        settings = BeamSearch(width=4, n_best=4, stop=stop, no_repeat_ngram=no_repeat_ngram)
        expected = reference_beams(pair.reference_generation, settings, prompt_tokens=1)
        hypotheses = beam_search(
            pair.ours.bind(SOURCE, SOURCE_VALID),
            START,
            settings,
            new_tokens=expected.new_tokens,
            cache="dynamic",
            end=expected.end,
        )
        assert_beams_agree(hypotheses, expected)
