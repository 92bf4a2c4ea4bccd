"""Weights laid out for decoding on a CPU: the same products in the same precision, read faster.

A step of decoding multiplies a few rows by every weight, so its time is the time to read them. oneDNN's
blocked layout, made once instead of at every product, is read along memory by every core; the activation
after a product costs nothing there. One row alone is multiplied before oneDNN has begun: by as many parts of
the weight as there are threads, as a batch. Exact but for the order of the sums.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.models.attention import Attention
from harness.models.config import Activation
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.feedforward import ACTIVATIONS, FeedForward, GatedLayer
from harness.models.transformer import Transformer

Model = TypeVar("Model", Transformer, EncoderDecoder)

# oneDNN's name of an activation, and of the variant.
AFTER: Mapping[Activation, tuple[str, str]] = MappingProxyType(
    {"relu": ("relu", ""), "gelu": ("gelu", "none"), "gelu-tanh": ("gelu", "tanh"), "silu": ("swish", "")}
)
NOTHING = ("none", "")
# The layout for so many rows was the fastest for 1 to 80 of them; any number is computed.
ROWS = 64
# oneDNN makes a kernel for every number of rows: a third of a millisecond and 0.7 MB each, and it keeps 1,024
# of them. Texts of many lengths would make thousands: beyond so many rows they are filled up to a number that
# comes again.
EXACT_ROWS = 16
# Weights of no more values are kept a second time, in parts, for one row; larger ones are read as fast by
# oneDNN.
FEW = 2**18
# A thread's part has so many values at least.
LEAST_PART = 2**14


class PackedLinear(nn.Module):
    """A linear layer whose weight is in oneDNN's own layout, and the activation after it, if there is one.

    A small weight is kept a second time, in parts, for one row.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, *, activation: Activation | None = None) -> None:
        super().__init__()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), ROWS)
        self.bias, self.width = bias, weight.shape[1]
        self.after = NOTHING if activation is None else AFTER[activation]
        self.activation = None if activation is None else ACTIVATIONS[activation]
        self.product = torch.ops.mkldnn._linear_pointwise.default
        few = weight.dtype == torch.float32 and weight.numel() <= FEW
        in_parts = few and torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
        self.parts = WeightInParts(weight, bias) if in_parts else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        rows = x.numel() // self.width
        if rows == 1 and self.parts is not None:
            made = self.parts.product(x)
            return made if self.activation is None else self.activation(made)
        name, variant = self.after
        if rows > EXACT_ROWS and (room := filled_up(rows)) > rows:
            many = F.pad(x.reshape(rows, self.width), (0, 0, 0, room - rows))
            padded: Tensor = self.product(many, self.packed, self.bias, name, [], variant)
            return padded.narrow(0, 0, rows).view(*x.shape[:-1], -1)
        out: Tensor = self.product(x, self.packed, self.bias, name, [], variant)
        return out


class WeightInParts:
    """The outputs of a linear layer divided among the threads, (parts, in, out / parts): a batched product
    has each compute its own.

    For one row MKL computes a plain product in one thread, and oneDNN takes 10 µs until it begins.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.outputs, self.width = weight.shape
        self.count = max(1, min(torch.get_num_threads(), weight.numel() // LEAST_PART))
        part = -(-self.outputs // self.count)
        room = (0, part * self.count - self.outputs)
        columns = F.pad(weight.detach().t(), room).view(self.width, self.count, part)
        self.weight = columns.transpose(0, 1).contiguous()
        self.bias = None if bias is None else F.pad(bias.detach(), room).view(self.count, 1, part)
        self.whole = not room[1]

    def product(self, x: Tensor) -> Tensor:
        """One row (..., in) of no more than three dimensions -> (..., out)."""
        rows = x.expand(self.count, 1, self.width)
        if self.bias is None:
            made = torch.bmm(rows, self.weight)
        else:
            made = torch.baddbmm(self.bias, rows, self.weight)  # (parts, 1, out / parts)
        made = made.view(*x.shape[:-1], -1)
        return made if self.whole else made.narrow(-1, 0, self.outputs)


def filled_up(rows: int) -> int:
    """As how many rows so many are computed: the next multiple of 8, from 256 rows on of up to a sixteenth of
    them.
    """
    step = max(8, 1 << (rows.bit_length() - 5))
    return -(-rows // step) * step


# Nothing is asked of these but their output.
CALLED = (PackedLinear, nn.LayerNorm, nn.RMSNorm, Attention, FeedForward)


def prepare_for_decoding(model: Model) -> Model:
    """The model with its weights laid out anew, to be decoded and no more.

    A copy: what is done to the model later does not reach it. Products stay as many as its config says, so
    that models which differ in that differ here too. Where the layout is not to be had (no oneDNN, another
    device or precision than float32 and bfloat16 on a CPU) the model comes back as it is. Raises ValueError
    in training mode.
    """
    if model.training:
        raise ValueError("the model is in training mode; call model.eval() before decoding")
    if not _can_be_packed(model.embedding.weight):
        return model
    with torch.no_grad():
        prepared = copy.deepcopy(model)
        top = prepared.output
        prepared.packed_output = PackedLinear(top.weight, top.bias)
        prepared.unembedding = None
        for module in list(prepared.modules()):
            if isinstance(module, FeedForward):
                _pack_with_activation(module)
            for name, child in module.named_children():
                if isinstance(child, nn.Linear):
                    setattr(module, name, PackedLinear(child.weight, child.bias))
        for module in prepared.modules():
            _find_at_once(module)
    return prepared


def _pack_with_activation(layer: FeedForward) -> None:
    if layer.activation_name not in AFTER:
        return
    name = "gate" if isinstance(layer, GatedLayer) else "up"
    linear = getattr(layer, name)
    setattr(layer, name, PackedLinear(linear.weight, linear.bias, activation=layer.activation_name))
    layer.activation = nn.Identity()


def _find_at_once(module: nn.Module) -> None:
    """Let parameters and submodules be found as other attributes are, not after these were searched in vain.

    A step of a small model looks up hundreds. Both are replaced by assignment, which forgets what stands
    here. Of a layer that is only ever called there is no more than its `forward`: hooks that are set on it
    later do not run.
    """
    layers = {name: _called(child) for name, child in module._modules.items()}
    vars(module).update({**module._parameters, **layers})


def _called(layer: nn.Module | None) -> Callable[..., Tensor] | nn.Module | None:
    if type(layer) is nn.LayerNorm:
        shape, eps = layer.normalized_shape, layer.eps
        return partial(
            torch.layer_norm, normalized_shape=shape, weight=layer.weight, bias=layer.bias, eps=eps
        )
    return layer.forward if isinstance(layer, CALLED) else layer


def _can_be_packed(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32
