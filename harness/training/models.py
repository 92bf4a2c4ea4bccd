"""The models that can be trained: those that ship, and those that plug-ins add."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

from harness.models.config import EncoderDecoderConfig, ModelConfig
from harness.models.config.base import KindOr
from harness.models.config.hugging_face import HuggingFaceConfig
from harness.models.config.own import OwnDecoderConfig
from harness.open_union import OpenTo, kind_of
from harness.plugins import Registry


def _named(_: str, value: Any) -> tuple[str, type[OwnDecoderConfig]] | None:
    if not isinstance(value, type) or not issubclass(value, OwnDecoderConfig) or inspect.isabstract(value):
        return None
    return kind_of(value), value


MODELS: Registry[type[Any]] = Registry(
    "models",
    {kind_of(config): config for config in (ModelConfig, EncoderDecoderConfig, HuggingFaceConfig)},
    "a subclass of OwnDecoderConfig with a kind",
    _named,
)

if TYPE_CHECKING:
    TrainedModelConfig = ModelConfig | EncoderDecoderConfig | OwnDecoderConfig
else:
    TrainedModelConfig = Annotated[
        ModelConfig | EncoderDecoderConfig | HuggingFaceConfig, KindOr("decoder"), OpenTo(MODELS)
    ]
