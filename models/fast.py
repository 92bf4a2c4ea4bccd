"""Weights laid out for decoding: the same products in float32, read faster on a CPU.

A step of decoding multiplies a few rows by every weight, so its time is the time to read them. One row is fastest with
weights stored column by column (a matrix-vector product that runs along memory); several are with oneDNN's blocked
layout, made once instead of at every product. Both are exact but for the order of the sums.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.cache import Cache
from models.config import CacheKind
from models.transformer import Transformer


class ColumnLinear(nn.Module):
    """A linear layer whose weight (out, in) lies in memory as (in, out)."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight, self.bias = weight.detach().t().contiguous().t(), bias

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return F.linear(x, self.weight, self.bias)


class PackedLinear(nn.Module):
    """A linear layer whose weight is in oneDNN's own layout, chosen for `rows` rows; any number is computed."""

    def __init__(self, weight: Tensor, bias: Tensor | None, *, rows: int) -> None:
        super().__init__()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), rows)
        self.bias = bias
        self.product = torch.ops.mkldnn._linear_pointwise.default

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        out: Tensor = self.product(x, self.packed, self.bias, "none", [], "")
        return out


class PreparedTransformer:
    """A decoder-only model as `models.decoding.base.Decodable`, its weights laid out anew."""

    def __init__(self, model: Transformer, *, rows: int) -> None:
        self._model = copy.deepcopy(model)
        self._output = self._model.output
        self._model.unembedding = None  # laid out below, as the top
        for module in list(self._model.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Linear):
                    setattr(module, name, _laid_out(child.weight, child.bias, rows=rows))
        self._top = _laid_out(self._output.weight, self._output.bias, rows=rows)

    @property
    def max_positions(self) -> int:
        return self._model.max_positions

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        """As `Transformer.new_cache`."""
        return self._model.new_cache(kind, batch=batch, capacity=capacity)

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        """As `Transformer.next_logits`."""
        hidden = self._model.hidden(tokens, cache=cache, valid=valid)[:, -1]
        return self._output.logits_by(self._top, hidden)


def prepare_for_decoding(model: Transformer, *, rows: int) -> PreparedTransformer | Transformer:
    """The model with its weights laid out to decode `rows` rows at a time.

    A copy: what is done to the model later does not reach it. A model that is not in float32 on a CPU comes back as
    it is: there the plain layout is the best that is known. Raises ValueError in training mode.
    """
    if model.training:
        raise ValueError("the model is in training mode; call model.eval() before decoding")
    weight = model.embedding.weight
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return model
    with torch.no_grad():
        return PreparedTransformer(model, rows=rows)


def _laid_out(weight: Tensor, bias: Tensor | None, *, rows: int) -> ColumnLinear | PackedLinear:
    if rows == 1 or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return ColumnLinear(weight, bias)
    return PackedLinear(weight, bias, rows=rows)
