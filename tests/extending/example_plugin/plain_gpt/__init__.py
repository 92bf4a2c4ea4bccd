"""All parts, so that `--plugin plain_gpt` finds them without an installation."""

from plain_gpt.config import PlainGPTConfig
from plain_gpt.invariant import OneTokenAtATime
from plain_gpt.metric import generalisation_gap
from plain_gpt.optimizer import SignDescent

__all__ = ["OneTokenAtATime", "PlainGPTConfig", "SignDescent", "generalisation_gap"]
