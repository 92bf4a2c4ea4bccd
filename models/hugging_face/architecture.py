"""What transformers makes of the settings of a model, and which models can be decoded here.

Nothing is downloaded, and no code of a checkpoint runs.
"""

from __future__ import annotations

import inspect
import json
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from torch import nn
from transformers.cache_utils import DynamicLayer
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

# Its functions have types only in part.
_TRANSFORMERS: Any = transformers

# In random weights no token is special.
_NO_SPECIAL_TOKENS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}


class ModelSizes(NamedTuple):
    vocab_size: int
    max_positions: int


@dataclass(frozen=True, kw_only=True)
class ResolvedModel:
    """`config` is that of transformers. `matrix_values` are the values of all matrices that a token is
    multiplied with, and `cached_values` those of the keys and values of one position.

    `vocab_size` and `max_positions` are the largest that the model can have, or None without a limit.
    `cache_argument` is the name under which the model takes a cache.
    """

    config: Any
    attention: str
    vocab_size: int
    max_positions: int | None
    layers: int
    heads: int
    head_width: int
    cached_values: int
    parameters: int
    matrix_values: int
    cache_argument: str

    def build(self) -> nn.Module:
        """The model with random weights from torch's generator."""
        model: nn.Module = _build(self.config, self.attention)
        return model

    def load(self, folder: Path) -> nn.Module:
        """The model with the weights of a checkpoint. Raises ValueError if they do not fit the model."""
        _TRANSFORMERS.utils.logging.disable_progress_bar()
        try:
            model, report = _TRANSFORMERS.AutoModelForCausalLM.from_pretrained(
                folder,
                config=deepcopy(self.config),
                attn_implementation=self.attention,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        except Exception as error:  # a damaged file can raise anything
            raise ValueError(f"the checkpoint {folder} cannot be loaded: {_line(error)}") from error
        missing = sorted(report["missing_keys"])
        if missing:
            raise ValueError(f"the checkpoint {folder} lacks {len(missing)} tensors, such as {missing[0]}")
        loaded: nn.Module = model
        return loaded


def complete_settings(architecture: dict[str, Any]) -> dict[str, Any]:
    """The settings with the defaults of their type."""
    config = _config(architecture, None)
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        raise ValueError(f"{config.model_type} has no largest number of positions; give max_positions")
    return {"vocab_size": config.vocab_size, "max_position_embeddings": positions}


@lru_cache(maxsize=32)
def resolve(
    architecture: str, *, attention: str, dropout: float | None, sizes: ModelSizes | None
) -> ResolvedModel:
    """The model that the settings describe, as JSON. Raises ValueError if it cannot be decoded here.

    `sizes` are for random weights, and None for those of a checkpoint.
    """
    config = _config(json.loads(architecture), sizes)
    if dropout is not None:
        for name, value in config.to_dict().items():
            if ("drop" in name) and isinstance(value, float | int) and not isinstance(value, bool):
                setattr(config, name, dropout)
    kind = config.model_type
    _check_config(config)
    with torch.device("meta"):
        model = _build(config, attention)
    arguments = inspect.signature(model.forward).parameters
    cache_argument = "cache" if "cache" in arguments else "past_key_values"
    if not {cache_argument, "position_ids", "attention_mask"} <= arguments.keys() or model._is_stateful:
        raise ValueError(f"{kind} has no cache of keys and values, or takes no positions of tokens")
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    pairs = getattr(config, "num_key_value_heads", None) or heads
    head_width = getattr(config, "head_dim", None) or config.hidden_size // heads
    cached_values = 2 * layers * pairs * head_width
    if _cached_values(model, config, cache_argument) != cached_values:
        raise ValueError(
            f"{kind} caches something else than keys and values of heads, which has no closed form"
        )
    return ResolvedModel(
        config=config,
        attention=attention,
        vocab_size=config.vocab_size,
        max_positions=getattr(config, "max_position_embeddings", None),
        layers=layers,
        heads=heads,
        head_width=head_width,
        cached_values=cached_values,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        matrix_values=_matrix_values(model, kind),
        cache_argument=cache_argument,
    )


def _config(architecture: dict[str, Any], sizes: ModelSizes | None) -> Any:
    """The config of transformers. With `sizes`, which are used unless the settings have others, unknown
    settings are refused; the settings of a checkpoint may have any.
    """
    settings = dict(architecture)
    kind = settings.pop("model_type", None)
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or kind not in CONFIG_MAPPING:
        raise ValueError(f"transformers has no causal language model of model_type {kind!r}")
    config_class = CONFIG_MAPPING[kind]
    try:
        if sizes is not None:
            default = config_class()
            unknown = [name for name in settings if not hasattr(default, name)]
            if unknown:
                raise ValueError(f"{kind} has no setting {unknown[0]!r}")
            settings = {**_NO_SPECIAL_TOKENS, **settings, **_sizes(config_class, settings, sizes)}
        return config_class(**settings)
    except ValueError:
        raise
    except Exception as error:  # every type checks its settings in its own way
        raise ValueError(f"transformers refuses the settings of {kind}: {_line(error)}") from error


def _sizes(config_class: Any, settings: dict[str, Any], sizes: ModelSizes) -> dict[str, int]:
    """The sizes that the settings do not have, under whichever name."""
    values = {"vocab_size": sizes.vocab_size, "max_position_embeddings": sizes.max_positions}
    names = {name: config_class.attribute_map.get(name, name) for name in values}
    return {name: value for name, value in values.items() if not {name, names[name]} & settings.keys()}


def _check_config(config: Any) -> None:
    kind = config.model_type
    if not getattr(config, "is_decoder", True):
        raise ValueError(f"{kind} sees later tokens; give is_decoder: true, if the type has it")
    if config.is_encoder_decoder or config.get_text_config() is not config:
        raise ValueError(f"{kind} is not a plain decoder of text")
    if getattr(config, "quantization_config", None) is not None:
        raise ValueError("the weights of the checkpoint are quantised; save them without quantisation first")
    experts = [
        name
        for name, value in config.to_dict().items()
        if "expert" in name and isinstance(value, int) and value
    ]
    if experts:
        raise ValueError(f"{kind} has experts ({experts[0]}), and its FLOPs per token have no closed form")
    others = {
        type(layer).__name__
        for layer in _TRANSFORMERS.DynamicCache(config=config).layers
        if type(layer) is not DynamicLayer
    }
    if others:
        raise ValueError(
            f"{kind} has layers that do not cache all positions ({', '.join(sorted(others))}), such as "
            "sliding windows or recurrent states; use a model without them"
        )


def _build(config: Any, attention: str) -> Any:
    try:
        return _TRANSFORMERS.AutoModelForCausalLM.from_config(
            deepcopy(config), dtype=torch.float32, attn_implementation=attention
        )
    except Exception as error:  # sizes that do not fit each other fail in the code of the model
        raise ValueError(f"transformers cannot build this {config.model_type}: {_line(error)}") from error


def _matrix_values(model: nn.Module, kind: str) -> int:
    """The values of all matrices but those in which tokens and positions are looked up."""
    total = 0
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            continue
        for parameter in module.parameters(recurse=False):
            if parameter.ndim > 2:
                raise ValueError(
                    f"{kind} multiplies with more than matrices, so it has no closed form of FLOPs"
                )
            total += parameter.numel() if parameter.ndim == 2 else 0
    return total


@torch.no_grad()
def _cached_values(model: Any, config: Any, cache_argument: str) -> int:
    """The values that a cache really has of one position. On the meta device nothing is computed."""
    cache = _TRANSFORMERS.DynamicCache(config=config)
    token = torch.zeros((1, 1), dtype=torch.long, device="meta")
    model.eval()(token, position_ids=token, **{cache_argument: cache}, use_cache=True)
    return sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
