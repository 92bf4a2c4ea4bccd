"""How the next tokens are chosen: every choice, torch-free, frozen, a union on `kind`."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from harness.models.config import Count, Frozen
from harness.models.config.base import FROM_LIST


class Temperature(Frozen):
    """Divides the logits: below 1 sharper, above 1 flatter."""

    kind: Literal["temperature"] = "temperature"
    value: Annotated[float, Field(allow_inf_nan=False)]

    @field_validator("value")
    @classmethod
    def _positive(cls, value: float) -> float:
        if value <= 0.0:
            raise ValueError(f"temperature {value:g} is no distribution; use greedy, its limit at 0")
        return value


class TopK(Frozen):
    """The k most probable tokens (Fan et al. 2018, §5); all of them where the vocabulary is smaller."""

    kind: Literal["top-k"] = "top-k"
    k: Count


class TopP(Frozen):
    """The fewest most probable tokens whose probabilities reach p (Holtzman et al. 2020, §3.1)."""

    kind: Literal["top-p"] = "top-p"
    p: Annotated[float, Field(gt=0.0, le=1.0)]


class MinP(Frozen):
    """Tokens at least p times as probable as the most probable one (Nguyen et al. 2024, §3)."""

    kind: Literal["min-p"] = "min-p"
    p: Annotated[float, Field(gt=0.0, le=1.0)]


Filter = Annotated[Temperature | TopK | TopP | MinP, Field(discriminator="kind")]


class Greedy(Frozen):
    kind: Literal["greedy"] = "greedy"


class Sampling(Frozen):
    """Filters act in the order in which they are listed; none samples the model's own distribution.

    `streams` name the random numbers that each row takes, by default its place in the batch: equal names draw
    alike.
    """

    kind: Literal["sampling"] = "sampling"
    filters: Annotated[tuple[Filter, ...], FROM_LIST] = ()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    streams: SkipJsonSchema[Annotated[tuple[str, ...], FROM_LIST]] = Field(
        default=(), exclude_if=operator.not_
    )


class GNMTPenalty(Frozen):
    """log P / ((5 + length) / 6)^alpha (Wu et al. 2016, eq. 14); alpha 0 is the plain log-probability."""

    kind: Literal["gnmt"] = "gnmt"
    alpha: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.6


class MeanPenalty(Frozen):
    """log P / length: the mean over the tokens."""

    kind: Literal["mean"] = "mean"


LengthPenalty = Annotated[GNMTPenalty | MeanPenalty, Field(discriminator="kind")]


class BeamSearch(Frozen):
    """`width` may be beyond the vocabulary: the beam fills up as fast as there are prefixes.

    A row is done when `width` hypotheses have ended ("enough"), or when no live beam can still come among the
    `n_best` ("bound"), which is exact for penalties that grow with length.
    Trigrams that may not occur twice: `no_repeat_ngram: 3` (Paulus et al. 2017, §2.5), in the continuation
    alone.
    """

    kind: Literal["beam"] = "beam"
    width: Count
    n_best: Count = 1
    length_penalty: LengthPenalty = MeanPenalty()
    stop: Literal["enough", "bound"] = "enough"
    no_repeat_ngram: Count | None = None

    @model_validator(mode="after")
    def _wide_enough(self) -> Self:
        if self.n_best > self.width:
            raise ValueError(
                f"n_best {self.n_best} is more than the beam's width {self.width}; widen the beam"
            )
        return self


class Speculative(Frozen):
    """A draft model proposes `draft_tokens` at a time, the target verifies them in one pass."""

    kind: Literal["speculative"] = "speculative"
    draft_tokens: Count = 4
    choose: Annotated[Greedy | Sampling, Field(discriminator="kind")] = Greedy()


Decoding = Annotated[Greedy | Sampling | BeamSearch | Speculative, Field(discriminator="kind")]
_DECODING: TypeAdapter[Greedy | Sampling | BeamSearch | Speculative] = TypeAdapter(Decoding)


def decoding_config(settings: Mapping[str, Any]) -> Greedy | Sampling | BeamSearch | Speculative:
    """Read `{kind: beam, width: 5}`. Raises ValueError, one line, for what cannot be decoded with."""
    try:
        return _DECODING.validate_python(dict(settings))
    except ValidationError as error:
        problems = (
            ".".join(str(part) for part in item["loc"]) + ": " + item["msg"].removeprefix("Value error, ")
            for item in error.errors()
        )
        raise ValueError(
            "decoding: " + "; ".join(problem.removeprefix(": ") for problem in problems)
        ) from error
