"""Weights laid out for decoding on a CPU: the same products in the same precision, read faster.

Everything here is behind the single call of `prepare_for_decoding`, including `_bypass_attribute_lookup`, the
one function of this package that needs knowledge of CPython: it stores parameters and submodules as plain
attributes.

A decoding step multiplies a few rows by every weight, so its time is the time to read the weights. oneDNN's
blocked layout, made once instead of at every product, is read in the order of the memory by every core, and
an activation after a product costs nothing there. A single row is multiplied before oneDNN would have begun:
by as many parts of the weight as there are threads, as a batch. Exact except for the order of the sums.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.models.config import Activation
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.feedforward import ACTIVATIONS
from harness.models.layer import ResidualLayer
from harness.models.own import OwnDecoder
from harness.models.transformer import Transformer

Model = TypeVar("Model", Transformer, EncoderDecoder, OwnDecoder)

# oneDNN's names of an activation and of its variant.
ONEDNN_ACTIVATIONS: Mapping[Activation, tuple[str, str]] = MappingProxyType(
    {"relu": ("relu", ""), "gelu": ("gelu", "none"), "gelu-tanh": ("gelu", "tanh"), "silu": ("swish", "")}
)
NO_ACTIVATION = ("none", "")
# The layout for this number of rows was the fastest for 1 to 80 rows. It can compute any number of rows.
ROWS = 64
# oneDNN makes a kernel for every number of rows, which takes a third of a millisecond and 0.7 MB, and it
# keeps 1,024 of them. Texts of many lengths would need thousands, so larger numbers of rows are rounded up.
EXACT_ROWS = 16
# Weights of at most so many values are stored a second time, in parts, for one row. oneDNN reads larger
# weights as fast.
SMALL_WEIGHT = 2**18
# The part of a thread has at least so many values.
LEAST_PART = 2**14


class PackedLinear(nn.Module):
    """A linear layer whose weight is in oneDNN's own layout, with the activation that follows it, if any.

    A small weight is stored a second time, in parts, for one row.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, *, activation: Activation | None = None) -> None:
        super().__init__()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), ROWS)
        self.bias, self.width = bias, weight.shape[1]
        self.onednn_activation = NO_ACTIVATION if activation is None else ONEDNN_ACTIVATIONS[activation]
        self.activation = None if activation is None else ACTIVATIONS[activation]
        self.product = torch.ops.mkldnn._linear_pointwise.default
        small = weight.dtype == torch.float32 and weight.numel() <= SMALL_WEIGHT
        in_parts = small and torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
        self.parts = WeightInParts(weight, bias) if in_parts else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        rows = x.numel() // self.width
        if rows == 1 and self.parts is not None:
            product = self.parts.product(x)
            return product if self.activation is None else self.activation(product)
        name, variant = self.onednn_activation
        if rows > EXACT_ROWS and (room := rounded_up(rows)) > rows:
            many = F.pad(x.reshape(rows, self.width), (0, 0, 0, room - rows))
            padded: Tensor = self.product(many, self.packed, self.bias, name, [], variant)
            return padded.narrow(0, 0, rows).view(*x.shape[:-1], -1)
        out: Tensor = self.product(x, self.packed, self.bias, name, [], variant)
        return out


class WeightInParts:
    """A weight (parts, in, out / parts) whose outputs are divided among the threads by a batched product.

    For one row MKL computes a plain product in one thread, and oneDNN takes 10 µs before it begins.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.outputs, self.width = weight.shape
        self.count = max(1, min(torch.get_num_threads(), weight.numel() // LEAST_PART))
        part = -(-self.outputs // self.count)
        room = (0, part * self.count - self.outputs)
        columns = F.pad(weight.detach().t(), room).view(self.width, self.count, part)
        self.weight = columns.transpose(0, 1).contiguous()
        self.bias = None if bias is None else F.pad(bias.detach(), room).view(self.count, 1, part)
        self.padded = room[1] > 0

    def product(self, x: Tensor) -> Tensor:
        """One row (..., in), of at most three dimensions -> (..., out)."""
        rows = x.expand(self.count, 1, self.width)
        if self.bias is None:
            product = torch.bmm(rows, self.weight)
        else:
            product = torch.baddbmm(self.bias, rows, self.weight)  # (parts, 1, out / parts)
        product = product.view(*x.shape[:-1], -1)
        return product.narrow(-1, 0, self.outputs) if self.padded else product


def rounded_up(rows: int) -> int:
    """The number of rows with which a product of `rows` rows is computed.

    This is the next multiple of 8, and from 256 rows on the next multiple of a sixteenth of them or less.
    """
    step = max(8, 1 << (rows.bit_length() - 5))
    return -(-rows // step) * step


# Other modules use nothing but the output of these, as of a `ResidualLayer` that is `only_called`.
ONLY_CALLED = (PackedLinear, nn.LayerNorm, nn.RMSNorm)


def prepare_for_decoding(model: Model) -> Model:
    """A copy of the model with its weights laid out for decoding only.

    Later changes of the model do not reach the copy. The number of products stays what the config says, so
    that models that differ in it differ here too. Without oneDNN, on another device, and in precisions other
    than float32 and bfloat16 the model is returned as it is, and so is an OwnDecoder. Raises ValueError if
    the model is in training mode.
    """
    if model.training:
        raise ValueError("the model is in training mode; call model.eval() before decoding")
    if isinstance(model, OwnDecoder) or not _can_be_packed(model.embedding.weight):
        return model
    with torch.no_grad():
        prepared = copy.deepcopy(model)
        output = prepared.output
        prepared.packed_output = PackedLinear(output.weight, output.bias)
        prepared.unembedding = None
        for module in list(prepared.modules()):
            if isinstance(module, ResidualLayer) and module.activated is not None:
                _pack_with_activation(module, module.activated)
            for name, child in module.named_children():
                if isinstance(child, nn.Linear):
                    setattr(module, name, PackedLinear(child.weight, child.bias))
        for module in prepared.modules():
            _bypass_attribute_lookup(module)
    return prepared


def _pack_with_activation(layer: ResidualLayer, name: str) -> None:
    """Make the linear layer of that name and the activation after it one operation, if oneDNN has it."""
    activation: Any = layer.activation_name
    if activation in ONEDNN_ACTIVATIONS:
        linear = getattr(layer, name)
        setattr(layer, name, PackedLinear(linear.weight, linear.bias, activation=activation))
        layer.activation = nn.Identity()


def _bypass_attribute_lookup(module: nn.Module) -> None:
    """Store parameters and submodules in the module's `__dict__`, where Python finds them at once.

    Otherwise `nn.Module.__getattr__` finds them, and only after Python has searched in vain; one step of a
    small model has hundreds of such lookups. An assignment replaces both and removes the entry in `__dict__`.
    For a layer that is only called, the entry is its `forward`, so hooks that are set on it later do not run.
    """
    layers = {name: _callable_of(child) for name, child in module._modules.items()}
    vars(module).update({**module._parameters, **layers})


def _callable_of(layer: nn.Module | None) -> Callable[..., object] | nn.Module | None:
    if type(layer) is nn.LayerNorm:
        shape, eps = layer.normalized_shape, layer.eps
        return partial(
            torch.layer_norm, normalized_shape=shape, weight=layer.weight, bias=layer.bias, eps=eps
        )
    only_called = isinstance(layer, ONLY_CALLED) or (isinstance(layer, ResidualLayer) and layer.only_called)
    return layer.forward if layer is not None and only_called else layer


def _can_be_packed(weight: Tensor) -> bool:
    backend: Any = torch.backends.mkldnn
    if weight.device.type != "cpu" or not backend.is_available():
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32
