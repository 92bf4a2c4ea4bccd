"""The records of all metrics: what each one measures, and how arms are compared on it.

To add a metric, add its record here and its name to the `metrics` of the task that reports it. Claims,
margins, tables and plots find the record by its name.

A study of somebody else's program declares metrics of its own. Their records are known only where something
is done for that study (`declared`). So two studies can give one name to different metrics, and a record can
never be taken from the wrong study.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import InputError, did_you_mean
from harness.plugins import Registry
from harness.wording import LARGEST_WRITTEN_OUT, ComparedBy, format_bytes, format_seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Better = Literal["higher", "lower", "neither"]
PairedOver = Literal["rounds", "seeds", "sentences"]
Needs = Literal["a GPU", "energy of a GPU", "RAPL"]
"""What not every machine has."""
RATIO_UNIT = "×"
"""The unit of effects that are ratios."""
REPLICATES: MappingProxyType[str, str] = MappingProxyType(
    {"rounds": "round", "seeds": "seed", "sentences": "distinct text"}
)
"""What is counted as one observation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One metric, with the whole policy by which arms are compared on it.

    Arms are compared by `ratios`, or by `differences` if the value may be zero or has no natural zero. Values
    are paired over `rounds` if each round measures the metric anew, over `seeds` if it is a result of a
    training (which every round repeats), and over `sentences` if there is one value per text.

    An `exact` metric is counted, so it repeats without scatter and needs no interval. A metric that is
    `exact_if_repeated` is treated in the same way wherever all trials of an arm agree. A `timed` metric is
    measured with a clock.

    `margin` is the largest difference that does not matter, unless a study declares another one for this
    metric or for its `margin_group`: a fraction for ratios, otherwise in the unit of the metric. It is 0 if
    there is no default. A margin that is `margin_in_points` may be 1 or more. `lowest` and `highest` are the
    ends of the scale of a score.

    `per_trial` says how the samples of a trial become its one value.

    A metric `per_token` cannot be compared over different tokenizers; `per_byte` is the metric that measures
    the same per byte, if there is one. A `held_out` metric says how a model does on text that it has not
    seen. An `objective` metric is what the training minimises, with its smoothing and its z-loss. A metric
    that `needs` something is measured only on machines that have it.
    """

    name: str
    unit: str
    better: Better
    compared_by: ComparedBy
    paired_over: PairedOver
    exact: bool = False
    exact_if_repeated: bool = False
    timed: bool = False
    margin: float
    margin_group: str
    margin_in_points: bool = False
    lowest: float = -math.inf
    highest: float = math.inf
    per_trial: Literal["median", "last", "max"]
    per_token: bool = False
    per_byte: str | None = None
    held_out: bool = False
    objective: bool = False
    needs: Needs | None = None
    title: str = ""
    summary: str

    @property
    def label(self) -> str:
        """The name for people: the title, or else the words of the name."""
        return self.title or self.name.replace("_", " ")

    def of_trial(self, samples: Sequence[float]) -> float:
        """The one value of a trial with these samples, in the order of their steps."""
        import numpy as np  # the records of metrics are read without it

        return float(self.of_trials(np.asarray(samples, dtype=np.float64), np.zeros(1, dtype=np.intp))[0])

    def of_trials(self, samples: NDArray[np.float64], starts: NDArray[np.intp]) -> NDArray[np.float64]:
        """The one value of each trial.

        `samples` has the samples of all trials, one trial after the other and each in the order of its steps.
        `starts` says where each trial begins. A value is NaN if one of its samples is, unless only the last
        sample counts.
        """
        import numpy as np

        lengths = np.diff(starts, append=len(samples))
        if self.per_trial == "last":
            return samples[starts + lengths - 1]
        if self.per_trial == "max":
            return np.maximum.reduceat(samples, starts)
        trials = np.repeat(np.arange(len(starts)), lengths)
        ordered = samples[np.lexsort((samples, trials))]  # within each trial, NaN comes last
        low, high = ordered[starts + (lengths - 1) // 2], ordered[starts + lengths // 2]
        with np.errstate(invalid="ignore", over="ignore"):
            medians = np.where(low == high, low, (low + high) / 2)
        return np.where(np.isnan(ordered[starts + lengths - 1]), np.nan, medians)

    @property
    def neutral(self) -> float:
        """The effect of a change that makes no difference."""
        return 0.0 if self.compared_by == "differences" else 1.0

    @property
    def effect_unit(self) -> str:
        """The unit of an effect: × for ratios."""
        return RATIO_UNIT if self.compared_by == "ratios" else self.unit

    @property
    def depends_on_the_machine(self) -> bool:
        """Whether its values depend on what else the machine does, so that only trials of one round and one
        session can be compared.
        """
        return self.timed or (self.paired_over == "rounds" and not self.exact)

    @property
    def is_loss(self) -> bool:
        """Whether it is a positive result of a training, compared by ratios, and lower is better."""
        return self.paired_over == "seeds" and self.compared_by == "ratios" and self.better == "lower"

    @property
    def lost_by_divergence(self) -> bool:
        """Whether the value counts as infinite, and so ranks last, if the training diverged."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class DerivedMetric(Metric):
    """A metric that is computed from the values of other metrics of the same trial.

    Every task that records all of `computed_from` has it. `compute` gets the value of each of them, in this
    order, when the trial has ended. A plug-in can add such a metric without a task of its own.
    """

    computed_from: tuple[str, ...]
    compute: Callable[..., float]


# The policies that several metrics share. A record states only what is different.
_timing = partial(
    Metric,
    unit="s",
    better="lower",
    compared_by="ratios",
    paired_over="rounds",
    timed=True,
    margin=0.05,
    margin_group="time",
    per_trial="median",
)
_energy = partial(_timing, unit="J", margin_group="energy")
_energy_per_token = partial(_energy, unit="J/token", per_token=True)
_rate = partial(_timing, unit="tokens/s", better="higher", per_token=True)
# A share of a time. A difference of 0.05 is 5 % of the time.
_bubble = partial(
    _timing, unit="", compared_by="differences", margin=0.1, margin_group="bubble", lowest=0.0, highest=1.0
)
_memory = partial(
    Metric,
    unit="B",
    better="lower",
    compared_by="ratios",
    paired_over="rounds",
    exact_if_repeated=True,
    margin=0.02,
    margin_group="memory",
    per_trial="max",
)
_counted_bytes = partial(_memory, exact=True, exact_if_repeated=False, margin=0.0, margin_group="bytes")
_loss = partial(
    Metric,
    unit="nats/token",
    better="lower",
    compared_by="ratios",
    paired_over="seeds",
    margin=0.01,
    margin_group="loss",
    per_trial="last",
    per_token=True,
)
_held_out_loss = partial(_loss, per_byte="bits_per_byte", held_out=True)
# A figure that describes a training or a generation. It may be zero. How large a difference does not matter
# depends on what is counted, so there is no default margin: a claim needs a margin that its study declares.
_figure = partial(
    Metric,
    unit="",
    better="neither",
    compared_by="differences",
    paired_over="seeds",
    margin=0.0,
    margin_group="count",
    margin_in_points=True,
    per_trial="last",
)
_figure_share = partial(_figure, margin=0.005, margin_group="share", margin_in_points=False)
# Scores of text: from 0 to 100, or from 0 to 1. Their zero has no meaning, so they have no ratios.
_score = partial(
    Metric,
    unit="",
    better="higher",
    compared_by="differences",
    paired_over="sentences",
    margin=0.5,
    margin_group="score",
    margin_in_points=True,
    lowest=0.0,
    highest=100.0,
    per_trial="last",
)
_share = partial(_score, margin=0.005, margin_group="share", margin_in_points=False, highest=1.0)
_held_out_score = partial(_score, held_out=True)
_held_out_share = partial(_share, held_out=True)
# Perplexities are exponentials, so their ratios have a meaning.
_perplexity = partial(
    _held_out_share,
    better="neither",
    compared_by="ratios",
    margin=0.01,
    margin_group="perplexity",
    lowest=1.0,
    highest=math.inf,
)

_ALL: tuple[Metric, ...] = (
    _loss(name="loss", per_byte="bits_per_byte", objective=True, summary="training loss of an update"),
    _held_out_loss(name="validation_loss", summary="loss on held-out text, averaged over tokens, in float32"),
    _held_out_loss(
        name="validation_loss_as_trained",
        summary="loss on held-out text, averaged over tokens, in the precision of the training",
    ),
    _loss(
        name="training_text_loss",
        summary="loss of a trained model on text that it was trained on, dropout off",
    ),
    _held_out_loss(
        name="bits_per_byte",
        unit="bits/byte",
        per_token=False,
        summary="loss on held-out text, averaged over bytes",
    ),
    _figure(name="gradient_norm", summary="global norm of the gradient before clipping"),
    _held_out_loss(name="validation_perplexity", unit="", summary="exponential of the validation loss"),
    _figure(
        name="log_z",
        title="log Z",
        unit="nats",
        summary="log of the softmax's denominator on held-out text, averaged over tokens",
    ),
    _figure(
        name="training_log_z",
        title="training log Z",
        unit="nats",
        summary="log of the softmax's denominator in an update, averaged over its targets",
    ),
    _figure(name="clipped_gradient_norm", summary="global norm of the gradient after clipping"),
    _figure_share(
        name="zero_gradients",
        better="lower",
        summary="share of exact zeros among the gradients of linear layers: underflow, in 16 bits",
    ),
    _figure(name="skipped_updates", better="lower", summary="updates that a gradient scaler skipped"),
    _figure(
        name="gradient_spikes",
        better="lower",
        summary="updates whose gradient norm before clipping is above 3 × the median of the previous 50",
    ),
    _loss(
        name="late_loss_spread",
        objective=True,
        summary="SD of the training loss around its straight line, over the last quarter of the updates",
    ),
    _timing(name="command_seconds", summary="time of a program from its start to its end"),
    _timing(name="update_seconds", summary="time of one optimizer update, with the wait for its data"),
    _timing(name="data_seconds", summary="time that an update waits for its data"),
    _timing(name="compile_seconds", summary="time to compile the step, its first run included"),
    _timing(
        name="mfu",
        title="MFU",
        unit="",
        better="higher",
        summary="training FLOP/s as a share of the fastest matrix product's; recomputation is not counted",
    ),
    _figure(name="learning_rate", summary="learning rate of an update"),
    _rate(
        name="training_tokens_per_second",
        summary="training tokens per second, without the time of evaluations",
    ),
    _timing(name="first_token_seconds", summary="from the prompt to the first new token (prefill)"),
    _rate(name="prefill_tokens_per_second", summary="prompt tokens per second until the first new token"),
    _rate(
        name="decode_tokens_per_second",
        summary="new tokens per second after the first one, all rows together",
    ),
    _rate(
        name="tokens_per_second", summary="new tokens per second over the whole generation, prefill included"
    ),
    _counted_bytes(
        name="cache_bytes", summary="bytes of the key-value tensors that exist at the end of a generation"
    ),
    _counted_bytes(
        name="cache_bytes_formula", better="neither", summary="the closed form for the same quantity"
    ),
    _memory(
        name="peak_tensor_bytes",
        summary="most bytes of tensors alive at once during a generation, parameters excluded",
    ),
    _memory(
        name="peak_step_bytes",
        summary="most bytes of tensors alive at once during an update, parameters included",
    ),
    _memory(name="parameter_bytes", summary="most bytes of parameters alive at once during an update"),
    _memory(
        name="gradient_bytes", summary="most bytes of gradients of parameters alive at once during an update"
    ),
    _memory(
        name="optimizer_bytes",
        summary="most bytes alive at once of the optimizer's state and the tensors that its step makes",
    ),
    _memory(
        name="activation_bytes",
        summary="most bytes alive at once of tensors that the forward pass made, or checkpointing recomputed",
    ),
    _memory(
        name="other_bytes",
        summary="most bytes alive at once of gradients of activations and other tensors of a backward pass",
    ),
    _memory(
        name="static_bytes",
        summary="bytes of tensors that live from one update to the next: parameters and optimizer state",
    ),
    _memory(
        name="dynamic_bytes",
        summary="peak of an update minus the bytes that live from one update to the next",
    ),
    _counted_bytes(
        name="parameter_bytes_per_rank",
        summary="bytes of the parameters that one process holds between updates, the most of any process",
    ),
    _counted_bytes(
        name="gradient_bytes_per_rank",
        summary="bytes of the gradients with which one process makes its step, the most of any process",
    ),
    _counted_bytes(
        name="optimizer_bytes_per_rank",
        summary="bytes of the optimizer's state that one process holds, the most of any process",
    ),
    _counted_bytes(
        name="static_bytes_per_rank",
        summary="bytes of parameters and optimizer state that one process holds, the most of any process",
    ),
    _counted_bytes(
        name="communicated_bytes",
        summary="bytes that all processes of a training together send to each other in an update",
    ),
    _counted_bytes(
        name="communicated_bytes_formula",
        better="neither",
        summary="the closed form for the same quantity",
    ),
    _bubble(
        name="bubble_share",
        summary="share of the passes of an update in which a process of a pipeline waits for others",
    ),
    _bubble(
        name="bubble_share_formula",
        better="neither",
        timed=False,
        summary="(p − 1) / (m + p − 1), for p processes and m parts of a micro-batch",
    ),
    _memory(
        name="peak_device_bytes",
        needs="a GPU",
        summary="peak of the accelerator's allocator during timed updates",
    ),
    _timing(
        name="sentence_seconds",
        summary="time per sentence: the time of all batches divided by their sentences",
    ),
    _timing(
        name="sentences_per_second",
        unit="sentences/s",
        better="higher",
        summary="sentences per second, all batches together",
    ),
    _timing(
        name="first_token_p95_seconds",
        summary="from the start of a batch to its first new tokens, 95th percentile over batches",
    ),
    _timing(
        name="first_token_p99_seconds",
        summary="from the start of a batch to its first new tokens, 99th percentile over batches",
    ),
    _figure_share(
        name="acceptance_rate",
        per_trial="median",
        summary="share of the drafted tokens that the target model accepted",
    ),
    _figure(
        name="new_tokens",
        unit="tokens",
        per_trial="median",
        summary="tokens that were written, end-of-text tokens included",
    ),
    _held_out_score(
        name="bleu", title="BLEU", summary="BLEU of all sentences, 0 to 100 (sacrebleu's defaults)"
    ),
    _held_out_score(name="chrf", title="chrF2", summary="chrF2 of all sentences, 0 to 100"),
    _held_out_score(
        name="ter",
        title="TER",
        better="lower",
        highest=math.inf,
        summary="translation edit rate, in percent of the references' words",
    ),
    _held_out_share(
        name="rouge1",
        title="ROUGE-1",
        summary="F1 of the words in common with the reference, mean over sentences",
    ),
    _held_out_share(
        name="rouge2",
        title="ROUGE-2",
        summary="F1 of the pairs of words in common with the reference, mean over sentences",
    ),
    _held_out_share(
        name="rougeL",
        title="ROUGE-L",
        summary="F1 of the longest common subsequence with the reference, mean over sentences",
    ),
    _share(
        name="length_ratio",
        better="neither",
        highest=math.inf,
        summary="length of the written texts divided by the length of the references",
    ),
    _share(
        name="repetition",
        better="lower",
        summary="share of 4-grams that occurred before in the same text, mean over texts",
    ),
    _score(
        name="self_bleu",
        title="self-BLEU",
        better="lower",
        summary="BLEU of each text against all others, 0 to 100: high where texts are alike",
    ),
    _figure_share(
        name="distinct_1", title="distinct-1", summary="distinct words divided by all words that were written"
    ),
    _figure_share(
        name="distinct_2",
        title="distinct-2",
        summary="distinct pairs of words divided by all pairs that were written",
    ),
    _share(
        name="model_score",
        unit="nats/token",
        per_token=True,
        per_byte="perplexity_per_byte",
        lowest=-math.inf,
        highest=0.0,
        summary="log-probability per token that the model gives to the written text, by teacher forcing",
    ),
    _perplexity(
        name="perplexity_per_token",
        better="lower",
        per_token=True,
        per_byte="perplexity_per_byte",
        summary="perplexity of the references under the model, per token",
    ),
    _perplexity(name="perplexity_per_word", summary="perplexity of the references under the model, per word"),
    _perplexity(name="perplexity_per_byte", summary="perplexity of the references under the model, per byte"),
    _memory(
        name="peak_rss_bytes", title="peak RSS bytes", summary="peak resident memory of the process (VmHWM)"
    ),
    _energy(
        name="gpu_energy_joules",
        title="GPU energy",
        needs="energy of a GPU",
        summary="energy of the GPU, with all that ran on it, during the process of the trial (NVML)",
    ),
    _energy_per_token(
        name="gpu_joules_per_token",
        title="GPU energy per token",
        needs="energy of a GPU",
        summary="energy of the GPU, with all that ran on it, per token of the timed work (NVML)",
    ),
    _energy(
        name="cpu_energy_joules",
        title="CPU energy",
        needs="RAPL",
        summary="energy of the processor packages, with all programs, during the process of the trial (RAPL)",
    ),
    _energy_per_token(
        name="cpu_joules_per_token",
        title="CPU energy per token",
        needs="RAPL",
        summary="energy of the processor packages, with all programs, per token of the timed work (RAPL)",
    ),
)


def _named(_: str, value: Any) -> tuple[str, Metric] | None:
    return (value.name, value) if isinstance(value, Metric) else None


METRICS: Registry[Metric] = Registry("metrics", {metric.name: metric for metric in _ALL}, "a Metric", _named)
"""The metrics of the harness itself, and those of plug-ins."""

AUXILIARY_LOSS = "auxiliary_loss_"
"""How the names of losses begin that layers add."""

_DECLARED: ContextVar[Mapping[str, Metric]] = ContextVar("declared metrics", default=MappingProxyType({}))

DEFAULT_MARGINS: MappingProxyType[str, float] = MappingProxyType(
    {metric.margin_group: metric.margin for metric in _ALL}
)
"""The margin of each group of metrics, unless a study declares another one."""

ENERGY_METRICS: tuple[str, ...] = tuple(metric.name for metric in _ALL if metric.margin_group == "energy")
"""What the driver measures of each trial (`harness.trial.energy`), where the machine shows it."""


@contextlib.contextmanager
def declared(records: Mapping[str, Metric]) -> Iterator[None]:
    """Inside of this context, the records that a study declares are known as well."""
    before = _DECLARED.set({**_DECLARED.get(), **records} if records else _DECLARED.get())
    try:
        yield
    finally:
        _DECLARED.reset(before)


def declare(records: Mapping[str, Metric]) -> None:
    """From now on in this context, the records that a study declares are known as well: for a command that
    does everything for one study.
    """
    _DECLARED.set({**_DECLARED.get(), **records})


def known_metrics() -> Mapping[str, Metric]:
    """The metrics of the harness, and those that the study at hand declares."""
    return {**METRICS, **_DECLARED.get()}


def derived_metrics(recorded: Iterable[str]) -> list[DerivedMetric]:
    """The metrics of plug-ins that are computed from those that a trial records."""
    names = set(recorded)
    return [
        record
        for record in METRICS.added().values()
        if isinstance(record, DerivedMetric) and names.issuperset(record.computed_from)
    ]


def unknown_metric(name: str) -> Metric:
    """A plain record for a stored metric that this version no longer knows."""
    return _figure(name=name, summary="")


def stored_metric(name: str) -> Metric:
    """The record of a metric of a stored sample. A run of an earlier version, or of a study before it was
    changed, may have metrics that nothing knows any more.
    """
    try:
        return metric(name)
    except InputError:
        return unknown_metric(name)


def metric(name: str) -> Metric:
    """The record of a metric. Raises InputError with a suggestion if there is no such metric.

    Layers name their auxiliary losses themselves, so that no list has them.
    """
    if name.startswith(AUXILIARY_LOSS):
        return _figure(name=name, better="lower", summary="auxiliary loss of the layers, before its weight")
    record = METRICS.get(name) or _DECLARED.get().get(name)
    if record is None:
        hint = METRICS.refusal(name) or did_you_mean(name, known_metrics())
        raise InputError(f"unknown metric {name!r}", hint=hint)
    return record
