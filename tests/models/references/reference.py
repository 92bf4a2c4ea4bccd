"""Models of `transformers` in float64 throughout, and how their tensors become ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

RELATIVE_TOLERANCE = 1e-10


class Float64Throughout(TorchFunctionMode):
    """Asked for float32, torch gives float64.

    The references compute norms, rotations and softmax in float32 whatever their weights are, which would
    hide every difference below 1e-7. Nothing else about them is changed.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        _types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.float:
            func = Tensor.double
        named = {name: _double(value) for name, value in (kwargs or {}).items()}
        return func(*(_double(value) for value in args), **named)


def _double(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value


def float64_throughout() -> AbstractContextManager[object]:
    return Float64Throughout()


@contextmanager
def _default_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def random_reference(kind: Callable[[Any], Any], config: Any, *, seed: int, spread: float = 0.3) -> Any:
    """A model in which every trained tensor is drawn: gains of one and biases of zero would hide a mistake.

    Signs are drawn too, or a tied output would repeat the last token for ever. Seeds and spreads are such
    that continuations vary and end at different lengths, which the checks assert.
    """
    generator = torch.Generator().manual_seed(seed)
    config.eos_token_id = None  # generation ends where a test says so
    with float64_throughout(), torch.no_grad(), _default_float64(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(config).double().eval()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for tensor in (*trained, *(b for name, b in model.named_buffers() if name == "final_logits_bias")):
            noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.mul_(noise.sign()).add_(spread * noise.flip(0))
    return model


def copy_weights(ours: nn.Module, theirs: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
    """Fill our parameters from theirs; `names` maps our modules to their modules, `*` being the layer's
    number.

    Every tensor of ours must be given, and every one of theirs used: what is left over would be a part that
    we lack.
    """
    taken, state = set(), {}
    for name, parameter in ours.state_dict().items():
        module, _, tensor = name.rpartition(".")
        layer = next((part for part in module.split(".") if part.isdigit()), "")
        pattern = ".".join("*" if part.isdigit() else part for part in module.split("."))
        source = f"{names[pattern].replace('*', layer)}.{tensor}"
        assert theirs[source].shape == parameter.shape, f"{source} is not shaped as {name}"
        taken.add(source)
        state[name] = theirs[source]
    storages = {theirs[name].data_ptr() for name in taken}
    left = [name for name, tensor in theirs.items() if tensor.data_ptr() not in storages]
    assert not left, f"not used: {left}"
    ours.load_state_dict(state)


def assert_agree(ours: Tensor, theirs: Tensor) -> None:
    """max|ours - theirs| ≤ 1e-10 · max|theirs|, in float64."""
    assert ours.dtype == theirs.dtype == torch.float64
    assert ours.shape == theirs.shape
    difference, limit = (ours - theirs).abs().max(), RELATIVE_TOLERANCE * theirs.abs().max()
    assert difference <= limit, f"logits differ by {difference:.2e}, limit {limit:.2e}"


def random_tokens(*shape: int, vocab_size: int, seed: int = 0) -> Tensor:
    """Tokens but for 0, which is padding."""
    return torch.randint(1, vocab_size, shape, generator=torch.Generator().manual_seed(seed))
