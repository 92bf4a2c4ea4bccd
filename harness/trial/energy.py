"""Energy as metrics: the driver computes them from the telemetry of a trial, when the trial has ended."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from harness.telemetry.energy import Energy, cpu_energy, gpu_energy
from harness.telemetry.process_sampler import TelemetrySample
from harness.trial.outcome import TIMED, Outcome, Sample

ENERGY = "energy"
"""The note of a trial that says how its energy was measured, or why it is not known."""

_LARGEST = 1e15  # of seconds and of tokens


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The telemetry of a trial. `began` is the time of its first second (`time.monotonic`), and the reasons
    say why readings are missing.
    """

    samples: Sequence[TelemetrySample]
    began: float
    gpu_reason: str | None
    cpu_reason: str | None


def with_energy(outcome: Outcome, watched: Watched) -> Outcome:
    """The outcome with the energy of the trial, and that of its timed work per token, of the GPU and of the
    processor. What is not known is no sample, and a note says why. The timed work, which the worker noted in
    `time.monotonic`, is noted in the seconds of the telemetry. A training that diverged ended early, so its
    energy is not that of the work.
    """
    if outcome.status != "finished" or outcome.notes.get("diverged") or not watched.samples:
        return outcome
    timed = _timed(outcome.notes.get(TIMED), watched.began)
    energies = _energies(watched, timed)
    measured = [Sample(name, 0, energy.joules) for name, energy in energies.items() if energy.joules]
    notes = {
        **{name: note for name, note in outcome.notes.items() if name != TIMED},
        **({} if timed is None else {TIMED: timed._asdict()}),
        ENERGY: {name: energy.source for name, energy in energies.items()},
    }
    samples = _AlsoMeasured(outcome.samples, measured) if measured else outcome.samples
    return replace(outcome, samples=samples, notes=notes)


class _Timed(NamedTuple):
    """When the timed work ran, in the seconds of the telemetry, and on how many tokens."""

    begin: float
    end: float
    tokens: float


def _timed(note: Any, began: float) -> _Timed | None:
    """A worker may have noted anything."""
    values = [note.get(name) for name in _Timed._fields] if isinstance(note, Mapping) else []
    numbers = [float(value) for value in values if isinstance(value, int | float) and abs(value) < _LARGEST]
    if len(numbers) < len(_Timed._fields) or numbers[2] <= 0:
        return None
    begin, end, tokens = numbers
    return _Timed(begin - began, end - began, tokens)


def _energies(watched: Watched, timed: _Timed | None) -> dict[str, Energy]:
    """The energy for each metric."""
    first, last = watched.samples[0].t_seconds, watched.samples[-1].t_seconds
    readings = (("gpu", gpu_energy, watched.gpu_reason), ("cpu", cpu_energy, watched.cpu_reason))
    energies = {}
    for name, energy_of, missing in readings:
        energies[f"{name}_energy_joules"] = energy_of(watched.samples, first, last, missing)
        if timed is not None:
            spent = energy_of(watched.samples, timed.begin, timed.end, missing)
            per_token = None if spent.joules is None else spent.joules / timed.tokens
            energies[f"{name}_joules_per_token"] = Energy(per_token, spent.source)
    return energies


class _AlsoMeasured(Collection[Sample]):
    """The samples of a trial, of which there may be millions in a file, and more that the driver measured."""

    def __init__(self, recorded: Collection[Sample], measured: Sequence[Sample]) -> None:
        self._recorded, self._measured = recorded, measured

    def __len__(self) -> int:
        return len(self._recorded) + len(self._measured)

    def __iter__(self) -> Iterator[Sample]:
        yield from self._recorded
        yield from self._measured

    def __contains__(self, sample: object) -> bool:
        return sample in self._recorded or sample in self._measured
