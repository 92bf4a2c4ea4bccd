"""How the next tokens are chosen. Torch-free, frozen; every choice is a union on `kind`."""

from __future__ import annotations

import operator
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from harness.models.config import FROM_LIST, Count, Frozen


class Temperature(Frozen):
    """Divides the logits: a value below 1 makes the distribution sharper, a value above 1 flatter."""

    kind: Literal["temperature"] = "temperature"
    value: Annotated[float, Field(allow_inf_nan=False)]
    """The logits are divided by this number. Below 1 the choice is sharper, above 1 flatter."""

    @field_validator("value")
    @classmethod
    def _positive(cls, value: float) -> float:
        if value <= 0.0:
            raise ValueError(
                f"temperature {value:g} does not define a distribution; use a value above 0, or greedy, "
                "which is the limit at 0"
            )
        return value


class TopK(Frozen):
    """The k most probable tokens (Fan et al. 2018, §5), or all tokens of a smaller vocabulary."""

    kind: Literal["top-k"] = "top-k"
    k: Count
    """The number of most probable tokens that may be chosen."""


class TopP(Frozen):
    """The smallest set of most probable tokens that reaches p together (Holtzman et al. 2020, §3.1)."""

    kind: Literal["top-p"] = "top-p"
    p: Annotated[float, Field(gt=0.0, le=1.0)]
    """The probability that the chosen set of tokens reaches together."""


class MinP(Frozen):
    """Tokens at least p times as probable as the most probable one (Nguyen et al. 2024, §3)."""

    kind: Literal["min-p"] = "min-p"
    p: Annotated[float, Field(gt=0.0, le=1.0)]
    """A token must be at least this many times as probable as the most probable one."""


Filter = Annotated[Temperature | TopK | TopP | MinP, Field(discriminator="kind")]


class Greedy(Frozen):
    """The most probable token."""

    kind: Literal["greedy"] = "greedy"


class Sampling(Frozen):
    """Filters act in the order in which they are listed. Without filters the model's own distribution is
    sampled.

    `streams` names the random numbers of each row, by default by the row's index in the batch. Rows with
    equal names draw equal numbers.
    """

    kind: Literal["sampling"] = "sampling"
    filters: Annotated[tuple[Filter, ...], FROM_LIST] = ()
    """What changes the distribution before a token is drawn, in this order."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """The seed of the draws, together with the seed of the trial."""

    streams: SkipJsonSchema[Annotated[tuple[str, ...], FROM_LIST]] = Field(
        default=(), exclude_if=operator.not_
    )
    """Names of the random numbers of each row. Only the harness itself sets them."""


class GNMTPenalty(Frozen):
    """log P / ((5 + length) / 6)^alpha (Wu et al. 2016, eq. 14); alpha 0 is the plain log-probability."""

    kind: Literal["gnmt"] = "gnmt"
    alpha: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.6
    """How strongly long texts are favoured. 0 is the plain log-probability."""


class MeanPenalty(Frozen):
    """log P / length: the mean over the tokens."""

    kind: Literal["mean"] = "mean"


LengthPenalty = Annotated[GNMTPenalty | MeanPenalty, Field(discriminator="kind")]


class BeamSearch(Frozen):
    """Beam search. `width` may exceed the vocabulary: the beam then fills up over the first steps.

    A row is done when `width` hypotheses have ended ("enough"), or when no live beam can still be among the
    `n_best` ("bound"), which is exact for penalties that grow with length. `no_repeat_ngram: 3` forbids that
    a trigram occurs twice in the continuation (Paulus et al. 2017, §2.5).
    """

    kind: Literal["beam"] = "beam"
    width: Count
    """The number of beginnings that are followed at the same time."""

    n_best: Count = 1
    """The number of texts that are returned."""

    length_penalty: LengthPenalty = MeanPenalty()
    """How texts of different lengths are compared."""

    stop: Literal["enough", "bound"] = "enough"
    """When a row is done: when `width` texts have ended (enough), or when no better text is possible (bound).
    """

    no_repeat_ngram: Count | None = None
    """Forbids that so many tokens in a row occur twice."""

    @model_validator(mode="after")
    def _wide_enough(self) -> Self:
        if self.n_best > self.width:
            raise ValueError(
                f"n_best {self.n_best} exceeds the beam's width {self.width}; increase width or reduce n_best"
            )
        return self


class Speculative(Frozen):
    """A draft model proposes `draft_tokens` at a time, and the target model verifies them in one pass."""

    kind: Literal["speculative"] = "speculative"
    draft_tokens: Count = 4
    """The number of tokens that the draft model proposes at a time."""

    choose: Annotated[Greedy | Sampling, Field(discriminator="kind")] = Greedy()
    """How the next token is chosen from the distribution of the target model."""


Decoding = Annotated[Greedy | Sampling | BeamSearch | Speculative, Field(discriminator="kind")]
