"""From the config of a position encoding to its module."""

from __future__ import annotations

from harness.models.config import Architecture
from harness.models.config.position import (
    AlibiPosition,
    LearnedPosition,
    NoPosition,
    RelativePosition,
    RotaryPosition,
    SinusoidalPosition,
)
from harness.models.position.absolute import Learned, Sinusoidal
from harness.models.position.base import PositionEncoding
from harness.models.position.bias import Alibi, Relative
from harness.models.position.rotary import Rotary


def build_position(config: Architecture, *, causal: bool) -> PositionEncoding:
    """`causal` is False in an encoder, whose tokens attend to earlier and later tokens."""
    match config.position:
        case NoPosition():
            return PositionEncoding()
        case SinusoidalPosition() as settings:
            return Sinusoidal(config, settings)
        case LearnedPosition() as settings:
            return Learned(config, settings)
        case RotaryPosition() as settings:
            return Rotary(config, settings)
        case AlibiPosition():
            return Alibi(config)
        case RelativePosition() as settings:
            return Relative(config, settings, causal=causal)
