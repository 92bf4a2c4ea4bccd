"""The loss of a model on a micro-batch: its inputs, then its targets. Targets of −100 do not count.

B rows, T target tokens, S source tokens. A decoder takes (tokens (B, T), targets (B, T)). An encoder-decoder
takes (source (B, S), inputs of the decoder (B, T), targets (B, T)), with the sources padded with id 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.data.tokenizer import PAD_ID
from harness.models.config import IGNORED_TARGET, LossConfig, WholeLogits
from harness.models.embedding import OutputProjection
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.layer import Losses
from harness.models.loss import Loss, loss_and_log_z
from harness.models.own import OwnDecoder
from harness.models.transformer import Transformer

MicroBatch = tuple[NDArray[np.int64], ...]
CHUNK = 512


class Trainable(Protocol):
    """A model with hidden states before its output projection, such as `Transformer`."""

    @property
    def output(self) -> OutputProjection: ...

    def hidden(self, *inputs: Tensor, **settings: Any) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Summed:
    """Sums over the counted targets: negative log-likelihood in nats, log of the softmax's denominator, and
    the number of targets.
    """

    loss: float
    log_z: float
    tokens: int


def counted(batch: MicroBatch) -> int:
    """The number of targets that count."""
    return int(np.count_nonzero(batch[-1] != IGNORED_TARGET))


class Objective:
    """The loss of `model`: cross-entropy per token, with the smoothing and z-loss of `settings`."""

    def __init__(self, model: nn.Module, settings: LossConfig) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        self._settings = settings
        self._with_source = isinstance(model, EncoderDecoder)
        config = model.config if isinstance(model, EncoderDecoder | Transformer) else None
        self._weights = {} if config is None else config.auxiliary_losses
        if isinstance(model, OwnDecoder):  # its states are logits, which chunks would not make smaller
            self._settings = settings.model_copy(update={"logits": WholeLogits()})
        self._trainable = cast(Trainable, model)
        self._run, self._loss = self._trainable.hidden, self._loss_of

    def on(self, model: nn.Module) -> Objective:
        """The same objective for another model: this one if it is the same model."""
        return self if model is self.model else Objective(model, self._settings)

    def compile(self) -> None:
        """Make torch compile the model together with its loss, at the next call and again for every new
        shape.

        Every chunk of logits is compiled, so a large number of chunks takes long.
        """
        self._run, self._loss = torch.compile(self._trainable.hidden), torch.compile(self._loss_of)

    def tensors(self, batch: MicroBatch) -> tuple[Tensor, ...]:
        """The batch on the device of the model, without waiting for the copy."""
        arrays = (torch.from_numpy(np.ascontiguousarray(array)) for array in batch)
        if self.device.type == "cpu":
            return tuple(arrays)
        return tuple(array.pin_memory().to(self.device, non_blocking=True) for array in arrays)

    def mean_loss(self, batch: Sequence[Tensor]) -> Loss:
        """Means over the counted targets; 0 if there are none."""
        return self._loss(*batch)

    def _loss_of(self, *batch: Tensor) -> Loss:
        *inputs, targets = batch
        auxiliary: Losses | None = {} if self._weights else None
        hidden = self._hidden(self._trainable.hidden, inputs, auxiliary)
        loss = self.loss_of_states(hidden, targets)
        if not auxiliary:
            return loss
        return loss._replace(auxiliary={name: value.to(loss.mean) for name, value in auxiliary.items()})

    def loss_of_states(self, hidden: Tensor, targets: Tensor) -> Loss:
        """Means over the counted targets (B, T), given the states (B, T, C) of a forward pass."""
        return loss_and_log_z(hidden, self._trainable.output, targets, self._settings)

    def minimised(self, loss: Loss) -> Tensor:
        """The scalar that training minimises: the mean loss plus the weighted auxiliary losses of the
        layers.
        """
        total = loss.mean
        for name, value in (loss.auxiliary or {}).items():
            total = total + self._weights[name] * value
        return total

    def _hidden(
        self, run: Callable[..., Tensor], inputs: Sequence[Tensor], auxiliary: Losses | None = None
    ) -> Tensor:
        settings: dict[str, Any] = {} if auxiliary is None else {"auxiliary": auxiliary}
        if self._with_source:
            settings["source_valid"] = inputs[0] != PAD_ID
        return run(*inputs, **settings)

    @torch.no_grad()
    def summed(self, batch: Sequence[Tensor]) -> Summed:
        """Sums without smoothing or z-loss, at least in float32, from the logits of one chunk of positions
        at a time.
        """
        *inputs, targets = batch
        hidden = self._hidden(self._run, inputs)
        rows, flat = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
        loss = log_z = torch.zeros((), device=hidden.device)
        for start in range(0, len(flat), CHUNK):
            chosen = flat[start : start + CHUNK]
            logits = self._trainable.output.logits(rows[start : start + CHUNK])
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # (n, V)
            counts = chosen != IGNORED_TARGET
            z = logits.logsumexp(dim=-1)
            picked = logits.gather(1, torch.where(counts, chosen, 0)[:, None])[:, 0]
            # `where` and not a product, because the value at padding may be infinite or NaN.
            loss = loss + torch.where(counts, z - picked, 0).sum()
            log_z = log_z + torch.where(counts, z, 0).sum()
        sums = torch.stack([loss, log_z]).tolist()
        return Summed(loss=sums[0], log_z=sums[1], tokens=int((flat != IGNORED_TARGET).sum()))
