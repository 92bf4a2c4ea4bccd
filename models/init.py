"""Initial parameters, each drawn from a generator keyed by (seed, parameter name).

One seed therefore means the same tensors in every arm: adding a module changes no other.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn

from models.config import ModelConfig
from models.transformer import Transformer


def build_model(
    config: ModelConfig, seed: int, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> Transformer:
    """A transformer in training mode. The values do not depend on the device, nor, but for rounding, on dtype.

    The global generators stay where they were, so that dropout does not depend on how many modules were built.
    """
    with torch.random.fork_rng(devices=[]):
        model = Transformer(config)
    initialise(model, seed)
    return model.to(device=device, dtype=dtype)


def initialise(model: Transformer, seed: int) -> None:
    """Weights N(0, init_std²), biases 0, norms 1.

    Projections into the residual stream are scaled by 1/sqrt(2 n_layers), so that its variance does not grow with
    depth (Radford et al. 2019, §2.3).
    """
    residual_scale = 1.0 / math.sqrt(2 * model.config.n_layers)
    residual = {
        name
        for block in (f"blocks.{layer}" for layer in range(model.config.n_layers))
        for name in (f"{block}.attention.out", f"{block}.feedforward.down")
    }
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            std = model.config.init_std * (residual_scale if name in residual else 1.0)
            _fill_normal(module.weight, std=std, key=f"{seed}:{name}.weight")
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
            module.reset_parameters()
        else:
            # Memory is not cleared before: a module forgotten here would start from garbage.
            assert not list(module.parameters(recurse=False)), f"{name} has parameters, but no initialisation"


def _fill_normal(tensor: Tensor, *, std: float, key: str) -> None:
    digest = hashlib.sha256(key.encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    with torch.no_grad():
        tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float32) * std)
