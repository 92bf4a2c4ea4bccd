"""A small training script, as a user may have one: a classifier with one hidden layer on made-up data.

Tests copy it into a repository and judge changes of it. It knows nothing of the harness: it takes its seed on
the command line, and prints its losses as lines of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """The settings of a training."""

    seed: int
    hidden: int = 64
    batch: int = 64
    steps: int = 1200
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warm_up: int = 20
    average: float = 0.99
    evaluate_every: int = 600


@dataclass(frozen=True)
class Split:
    """Examples (n, features) with the class of each one (n)."""

    inputs: Array
    classes: Labels

    def __len__(self) -> int:
        return len(self.classes)


FEATURES, CLASSES = 16, 4


def made_up_data(examples: int, seed: int) -> Split:
    """Classes that a random teacher gives to random inputs, of which some are wrong."""
    teacher = np.random.default_rng(1)
    first = teacher.normal(0.0, 1.0 / math.sqrt(FEATURES), (FEATURES, 12))
    second = teacher.normal(0.0, 1.0, (12, CLASSES))
    random = np.random.default_rng(seed)
    inputs = random.normal(0.0, 1.0, (examples, FEATURES))
    scores = np.tanh(inputs @ first) @ second + random.gumbel(0.0, 1.0, (examples, CLASSES))
    return Split(inputs, scores.argmax(axis=1))


class Network:
    """Inputs (n, features) → tanh → scores (n, classes)."""

    def __init__(self, hidden: int, random: np.random.Generator) -> None:
        self.parameters = {
            "first": random.normal(0.0, 1.0 / math.sqrt(FEATURES), (FEATURES, hidden)),
            "first_bias": np.zeros(hidden),
            "second": random.normal(0.0, 1.0 / math.sqrt(hidden), (hidden, CLASSES)),
            "second_bias": np.zeros(CLASSES),
        }

    def hidden(self, inputs: Array) -> Array:
        hidden: Array = np.tanh(inputs @ self.parameters["first"] + self.parameters["first_bias"])
        return hidden

    def log_probabilities(self, hidden: Array) -> Array:
        scores = hidden @ self.parameters["second"] + self.parameters["second_bias"]
        scores = scores - scores.max(axis=1, keepdims=True)
        normalised: Array = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return normalised

    def loss(self, split: Split) -> float:
        """The mean cross-entropy, in nats."""
        logs = self.log_probabilities(self.hidden(split.inputs))
        return float(-logs[np.arange(len(split)), split.classes].mean())

    def accuracy(self, split: Split) -> float:
        """The share of examples whose class is the likeliest one."""
        likeliest = self.log_probabilities(self.hidden(split.inputs)).argmax(axis=1)
        return float((likeliest == split.classes).mean())

    def gradients(self, split: Split) -> dict[str, Array]:
        """The gradient of the loss by each parameter."""
        hidden = self.hidden(split.inputs)
        by_score = np.exp(self.log_probabilities(hidden))
        by_score[np.arange(len(split)), split.classes] -= 1.0
        by_score /= len(split)
        by_hidden = (by_score @ self.parameters["second"].T) * (1.0 - hidden**2)
        return {
            "first": split.inputs.T @ by_hidden,
            "first_bias": by_hidden.sum(axis=0),
            "second": hidden.T @ by_score,
            "second_bias": by_score.sum(axis=0),
        }


class Momentum:
    """Gradient descent with momentum and decoupled weight decay."""

    def __init__(self, network: Network, settings: Settings) -> None:
        self._network, self._settings = network, settings
        self._velocity = {name: np.zeros_like(value) for name, value in network.parameters.items()}

    def step(self, gradients: dict[str, Array], lr: float) -> None:
        for name, gradient in gradients.items():
            velocity = self._velocity[name]
            velocity *= self._settings.momentum
            velocity -= lr * gradient
            parameter = self._network.parameters[name]
            parameter *= 1.0 - lr * self._settings.weight_decay
            parameter += velocity


class Average:
    """An exponential moving average of the parameters, which is what is evaluated."""

    def __init__(self, network: Network, decay: float) -> None:
        self._network, self._decay = network, decay
        self._mean = {name: value.copy() for name, value in network.parameters.items()}

    def update(self) -> None:
        for name, value in self._network.parameters.items():
            self._mean[name] += (1.0 - self._decay) * (value - self._mean[name])

    def evaluated(self, split: Split) -> tuple[float, float]:
        """The loss and the accuracy on a split."""
        current, self._network.parameters = self._network.parameters, self._mean
        try:
            return self._network.loss(split), self._network.accuracy(split)
        finally:
            self._network.parameters = current


def learning_rate(step: int, settings: Settings) -> float:
    """A linear warm-up, then half a cosine down to a tenth."""
    if step < settings.warm_up:
        return settings.lr * (step + 1) / settings.warm_up
    share = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    return settings.lr * (0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * share)))


def batches(split: Split, size: int, random: np.random.Generator) -> Iterator[Split]:
    """Batches of all examples in a random order, again and again."""
    while True:
        order = random.permutation(len(split))
        for begin in range(0, len(split) - size + 1, size):
            chosen = order[begin : begin + size]
            yield Split(split.inputs[chosen], split.classes[chosen])


def report(name: str, value: float, step: int) -> None:
    print(json.dumps({"metric": name, "value": value, "step": step}), flush=True)  # noqa: T201


def train(settings: Settings) -> None:
    """Train one network, and print its validation loss."""
    random = np.random.default_rng(settings.seed)
    training, validation = made_up_data(6000, seed=2), made_up_data(2000, seed=3)
    network = Network(settings.hidden, random)
    optimizer = Momentum(network, settings)
    average = Average(network, settings.average)
    stream = batches(training, settings.batch, random)
    for step in range(settings.steps):
        optimizer.step(network.gradients(next(stream)), learning_rate(step, settings))
        average.update()
        if (step + 1) % settings.evaluate_every == 0:
            loss, accuracy = average.evaluated(validation)
            report("val_loss", loss, step + 1)
            report("val_accuracy", accuracy, step + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small classifier.")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--lr", type=float, default=Settings.lr)
    given = parser.parse_args()
    train(Settings(seed=given.seed, steps=given.steps, lr=given.lr))


if __name__ == "__main__":
    main()
