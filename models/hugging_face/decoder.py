"""A causal language model of transformers, trained and decoded like every other decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, StaticCache

from harness.models.config import CacheKind
from harness.models.config.own import OwnDecoderConfig
from harness.models.hugging_face.cache import HuggingFaceCache
from harness.models.own import OwnDecoder


class HuggingFaceDecoder(OwnDecoder):
    """`model` is that of transformers, which takes a cache under the name `cache_argument`."""

    def __init__(self, config: OwnDecoderConfig, model: nn.Module, cache_argument: str) -> None:
        super().__init__(config)
        self.model: Any = model
        self._cache_argument = cache_argument

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> HuggingFaceCache | None:  # noqa: ARG002
        match kind:
            case "none":
                return None
            case "dynamic":
                return HuggingFaceCache(DynamicCache(config=self.model.config))
            case "static":
                return HuggingFaceCache(StaticCache(config=self.model.config, max_cache_len=capacity))
            case _:
                raise ValueError(f"transformers has no cache of kind {kind}; use dynamic or static")

    def forward(
        self, tokens: Tensor, *, cache: HuggingFaceCache | None = None, valid: Tensor | None = None
    ) -> Tensor:
        return self._logits(tokens, cache, valid, last=0)

    def next_logits(
        self, tokens: Tensor, *, cache: HuggingFaceCache | None = None, valid: Tensor | None = None
    ) -> Tensor:
        return self._logits(tokens, cache, valid, last=1)[:, -1]

    def _logits(
        self, tokens: Tensor, cache: HuggingFaceCache | None, valid: Tensor | None, *, last: int
    ) -> Tensor:
        """The logits after the last tokens; after all of them if `last` is 0."""
        past = 0 if cache is None else cache.length
        states = {} if cache is None else {self._cache_argument: cache.states}
        if cache is not None:
            valid = cache.append_valid(valid, tokens)
        if valid is None:
            positions = torch.arange(past, past + tokens.shape[1], device=tokens.device)[None]
        else:
            positions = (valid.cumsum(dim=1) - 1).clamp(min=0)[:, past:]
        output = self.model(
            tokens,
            attention_mask=None if valid is None else valid.long(),
            position_ids=positions,
            use_cache=cache is not None,
            logits_to_keep=last,
            **states,
        )
        logits: Tensor = output.logits[..., : self.config.vocab_size]
        return logits
