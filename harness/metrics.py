"""One record a metric: its unit, which direction is better, what kind of quantity it is, how a person reads
it.

Adding a metric is one entry in `METRICS`; claims, margins, tables and plots find it by its name.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from harness.errors import InputError, did_you_mean
from harness.wording import LARGEST_WRITTEN_OUT, format_bytes, format_seconds

Family = Literal["time", "memory", "bytes", "loss", "score", "share", "perplexity", "count"]
Better = Literal["higher", "lower", "neither"]

# Largest difference that does not matter, unless a study declares another: a fraction of what is compared by
# ratios, points of a score from 0 to 100, a hundredth of that of a share from 0 to 1. `bytes` are compared
# exactly; of counts every one matters.
DEFAULT_MARGINS: MappingProxyType[Family, float] = MappingProxyType(
    {
        "time": 0.05,
        "memory": 0.02,
        "bytes": 0.0,
        "loss": 0.01,
        "score": 0.5,
        "share": 0.005,
        "perplexity": 0.01,
        "count": 0.0,
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """`per_trial` tells how the samples of one trial become its one value."""

    name: str
    unit: str
    better: Better
    family: Family
    per_trial: Literal["median", "last", "max"]
    summary: str

    @property
    def label(self) -> str:
        return self.name.replace("_", " ")

    def of_trial(self, samples: Sequence[float]) -> float:
        """The one value of a trial with these samples, in the order of their steps: NaN where one of them is,
        unless the last counts.
        """
        if self.per_trial == "last":
            return samples[-1]
        if any(map(math.isnan, samples)):
            return math.nan
        return max(samples) if self.per_trial == "max" else statistics.median(samples)

    @property
    def compared_by(self) -> Literal["ratios", "differences"]:
        """Scores of text have no zero to take ratios from, except perplexities, which are exponentials;
        counts and shares of a training may well be zero.
        """
        return "differences" if self.family in ("score", "share", "count") else "ratios"

    @property
    def neutral(self) -> float:
        """The effect of what changes nothing."""
        return 0.0 if self.compared_by == "differences" else 1.0

    @property
    def paired_over(self) -> Literal["rounds", "seeds", "sentences"]:
        """What a replicate is: a round of a seed for costs, a seed for what came of a training, which every
        round of it repeats, a sentence for scores of text, which are kept a sentence.
        """
        if self.family in ("score", "share", "perplexity"):
            return "sentences"
        return "seeds" if self.family in ("loss", "count") else "rounds"

    @property
    def lost_by_divergence(self) -> bool:
        """Whether it is infinite for a training that diverged, which ranks last."""
        return self.paired_over == "seeds" and self.better == "lower"

    def format(self, value: float) -> str:
        """The value with its unit, at a precision that a person can use."""
        if not math.isfinite(value):
            return "diverged" if self.lost_by_divergence else str(value)
        if self.unit == "B":
            return format_bytes(value)
        if self.unit == "s":
            return format_seconds(value)
        readable = 1000 <= abs(value) < LARGEST_WRITTEN_OUT
        digits = f"{value:,.0f}" if readable else f"{value:.4g}"
        return f"{digits} {self.unit}".rstrip()


_ALL = (
    Metric(
        name="loss",
        unit="nats/token",
        better="lower",
        family="loss",
        per_trial="last",
        summary="training loss of an update",
    ),
    Metric(
        name="validation_loss",
        unit="nats/token",
        better="lower",
        family="loss",
        per_trial="last",
        summary="loss on held-out text, averaged over tokens",
    ),
    Metric(
        name="training_text_loss",
        unit="nats/token",
        better="lower",
        family="loss",
        per_trial="last",
        summary="loss of a trained model on text that it was trained on, dropout off",
    ),
    Metric(
        name="bits_per_byte",
        unit="bits/byte",
        better="lower",
        family="loss",
        per_trial="last",
        summary="loss on held-out text, a byte of it",
    ),
    Metric(
        name="gradient_norm",
        unit="",
        better="neither",
        family="count",
        per_trial="last",
        summary="global norm of the gradient before clipping",
    ),
    Metric(
        name="validation_perplexity",
        unit="",
        better="lower",
        family="loss",
        per_trial="last",
        summary="exponential of the validation loss",
    ),
    Metric(
        name="log_z",
        unit="nats",
        better="neither",
        family="count",
        per_trial="last",
        summary="log of the softmax's denominator on held-out text, averaged over tokens",
    ),
    Metric(
        name="training_log_z",
        unit="nats",
        better="neither",
        family="count",
        per_trial="last",
        summary="log of the softmax's denominator in an update, averaged over its targets",
    ),
    Metric(
        name="clipped_gradient_norm",
        unit="",
        better="neither",
        family="count",
        per_trial="last",
        summary="global norm of the gradient after clipping",
    ),
    Metric(
        name="zero_gradients",
        unit="",
        better="lower",
        family="count",
        per_trial="last",
        summary="share of exact zeros among the gradients of linear layers: underflow, in 16 bits",
    ),
    Metric(
        name="skipped_updates",
        unit="",
        better="lower",
        family="count",
        per_trial="last",
        summary="updates that a gradient scaler skipped",
    ),
    Metric(
        name="gradient_spikes",
        unit="",
        better="lower",
        family="count",
        per_trial="last",
        summary="updates whose gradient norm before clipping is above 3 × the median of the 50 before it",
    ),
    Metric(
        name="late_loss_spread",
        unit="nats/token",
        better="lower",
        family="loss",
        per_trial="last",
        summary="SD of the training loss around its straight line, over the last quarter of the updates",
    ),
    Metric(
        name="update_seconds",
        unit="s",
        better="lower",
        family="time",
        per_trial="median",
        summary="one optimizer update, waiting for its data included",
    ),
    Metric(
        name="data_seconds",
        unit="s",
        better="lower",
        family="time",
        per_trial="median",
        summary="waiting for the data of an update",
    ),
    Metric(
        name="compile_seconds",
        unit="s",
        better="lower",
        family="time",
        per_trial="median",
        summary="compiling the step, its first run included",
    ),
    Metric(
        name="mfu",
        unit="",
        better="higher",
        family="time",
        per_trial="median",
        summary="share of the fastest matrix product's speed that training reaches, what is computed again not counted",
    ),
    Metric(
        name="learning_rate",
        unit="",
        better="neither",
        family="count",
        per_trial="last",
        summary="learning rate of an update",
    ),
    Metric(
        name="training_tokens_per_second",
        unit="tokens/s",
        better="higher",
        family="time",
        per_trial="median",
        summary="training tokens a second, evaluation off the clock",
    ),
    Metric(
        name="first_token_seconds",
        unit="s",
        better="lower",
        family="time",
        per_trial="median",
        summary="from the prompt to the first new token (prefill)",
    ),
    Metric(
        name="prefill_tokens_per_second",
        unit="tokens/s",
        better="higher",
        family="time",
        per_trial="median",
        summary="prompt tokens a second until the first new token",
    ),
    Metric(
        name="decode_tokens_per_second",
        unit="tokens/s",
        better="higher",
        family="time",
        per_trial="median",
        summary="new tokens a second after the first one, all rows together",
    ),
    Metric(
        name="tokens_per_second",
        unit="tokens/s",
        better="higher",
        family="time",
        per_trial="median",
        summary="new tokens a second over the whole generation, prefill included",
    ),
    Metric(
        name="cache_bytes",
        unit="B",
        better="lower",
        family="bytes",
        per_trial="max",
        summary="bytes of the key-value tensors that exist at the end of a generation",
    ),
    Metric(
        name="cache_bytes_formula",
        unit="B",
        better="neither",
        family="bytes",
        per_trial="max",
        summary="the closed form for the same quantity",
    ),
    Metric(
        name="peak_tensor_bytes",
        unit="B",
        better="lower",
        family="memory",
        per_trial="max",
        summary="most bytes of tensors alive at once during a generation, parameters excluded",
    ),
    Metric(
        name="peak_step_bytes",
        unit="B",
        better="lower",
        family="memory",
        per_trial="max",
        summary="most bytes of tensors alive at once during an update, parameters and all",
    ),
    Metric(
        name="parameter_bytes",
        unit="B",
        better="lower",
        family="memory",
        per_trial="max",
        summary="of the peak of an update: parameters",
    ),
    Metric(
        name="gradient_bytes",
        unit="B",
        better="lower",
        family="memory",
        per_trial="max",
        summary="of the peak of an update: gradients of parameters",
    ),
    Metric(
        name="optimizer_bytes",
        unit="B",
        better="lower",
        family="memory",
        per_trial="max",
        summary="of the peak of an update: the optimizer's state, and what its step makes",
    ),
    Metric(
        name="activation_bytes",
        unit="B",
        better="lower",
        family="memory",
        per_trial="max",
        summary="of the peak of an update: what the forward pass made, or checkpointing made again",
    ),
    Metric(
        name="other_bytes",
        unit="B",
        better="lower",
        family="memory",
        per_trial="max",
        summary="of the peak of an update: gradients of activations and what else a backward pass makes",
    ),
    Metric(
        name="static_bytes",
        unit="B",
        better="lower",
        family="memory",
        per_trial="max",
        summary="bytes of tensors that stay from one update to the next: parameters and the optimizer's state",
    ),
    Metric(
        name="dynamic_bytes",
        unit="B",
        better="lower",
        family="memory",
        per_trial="max",
        summary="peak of an update above what stays from one to the next",
    ),
    Metric(
        name="peak_device_bytes",
        unit="B",
        better="lower",
        family="memory",
        per_trial="max",
        summary="peak of the accelerator's allocator during timed updates",
    ),
    Metric(
        name="sentence_seconds",
        unit="s",
        better="lower",
        family="time",
        per_trial="median",
        summary="time a sentence: of all batches, over the sentences in them",
    ),
    Metric(
        name="sentences_per_second",
        unit="sentences/s",
        better="higher",
        family="time",
        per_trial="median",
        summary="sentences a second, all batches together",
    ),
    Metric(
        name="first_token_p95_seconds",
        unit="s",
        better="lower",
        family="time",
        per_trial="median",
        summary="from a batch to its first new tokens, 95th percentile over batches",
    ),
    Metric(
        name="first_token_p99_seconds",
        unit="s",
        better="lower",
        family="time",
        per_trial="median",
        summary="from a batch to its first new tokens, 99th percentile over batches",
    ),
    Metric(
        name="acceptance_rate",
        unit="",
        better="neither",
        family="count",
        per_trial="median",
        summary="share of the drafted tokens that the target model accepted",
    ),
    Metric(
        name="new_tokens",
        unit="tokens",
        better="neither",
        family="count",
        per_trial="median",
        summary="tokens that were written, those that end a text among them",
    ),
    Metric(
        name="bleu",
        unit="",
        better="higher",
        family="score",
        per_trial="last",
        summary="BLEU of all sentences, 0 to 100 (sacrebleu's defaults)",
    ),
    Metric(
        name="chrf",
        unit="",
        better="higher",
        family="score",
        per_trial="last",
        summary="chrF2 of all sentences, 0 to 100",
    ),
    Metric(
        name="ter",
        unit="",
        better="lower",
        family="score",
        per_trial="last",
        summary="translation edit rate, in percent of the references' words",
    ),
    Metric(
        name="rouge1",
        unit="",
        better="higher",
        family="share",
        per_trial="last",
        summary="F of words in common with the reference, mean over sentences",
    ),
    Metric(
        name="rouge2",
        unit="",
        better="higher",
        family="share",
        per_trial="last",
        summary="F of pairs of words in common with the reference, mean over sentences",
    ),
    Metric(
        name="rougeL",
        unit="",
        better="higher",
        family="share",
        per_trial="last",
        summary="F of the longest common subsequence with the reference, mean over sentences",
    ),
    Metric(
        name="length_ratio",
        unit="",
        better="neither",
        family="share",
        per_trial="last",
        summary="length of what was written over that of the references",
    ),
    Metric(
        name="repetition",
        unit="",
        better="lower",
        family="share",
        per_trial="last",
        summary="share of 4-grams that occurred before in the same text, mean over texts",
    ),
    Metric(
        name="self_bleu",
        unit="",
        better="lower",
        family="score",
        per_trial="last",
        summary="BLEU of each text against all others, 0 to 100: high where texts are alike",
    ),
    Metric(
        name="distinct_1",
        unit="",
        better="neither",
        family="count",
        per_trial="last",
        summary="distinct words over all words that were written",
    ),
    Metric(
        name="distinct_2",
        unit="",
        better="neither",
        family="count",
        per_trial="last",
        summary="distinct pairs of words over all pairs that were written",
    ),
    Metric(
        name="model_score",
        unit="nats/token",
        better="higher",
        family="share",
        per_trial="last",
        summary="log-probability that the model gives what was written, a token, by teacher forcing",
    ),
    Metric(
        name="perplexity_per_token",
        unit="",
        better="lower",
        family="perplexity",
        per_trial="last",
        summary="perplexity of the references to the model, a token",
    ),
    Metric(
        name="perplexity_per_word",
        unit="",
        better="neither",
        family="perplexity",
        per_trial="last",
        summary="perplexity of the references to the model, a word",
    ),
    Metric(
        name="perplexity_per_byte",
        unit="",
        better="neither",
        family="perplexity",
        per_trial="last",
        summary="perplexity of the references to the model, a byte",
    ),
    Metric(
        name="peak_rss_bytes",
        unit="B",
        better="lower",
        family="memory",
        per_trial="max",
        summary="peak resident memory of the process (VmHWM)",
    ),
)

METRICS: MappingProxyType[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})


def metric(name: str) -> Metric:
    """The record of a metric; InputError with a suggestion where there is none."""
    try:
        return METRICS[name]
    except KeyError:
        raise InputError(f"unknown metric {name!r}", hint=did_you_mean(name, METRICS)) from None
