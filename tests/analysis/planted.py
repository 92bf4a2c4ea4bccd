"""A run with known true effects, built without a store: trials, raw samples and checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis.analyse import analyse
from harness.analysis.frames import MemoryFrames, sample_frame
from harness.analysis.results import Analysis, Contrast, SettledClaim
from harness.store.rows import CheckRow, TrialRow
from harness.study.arms import arms, conditions
from harness.study.loaded import LoadedStudy, Study

SPEED, LATENCY = "decode_tokens_per_second", "first_token_seconds"
CLAIMS: dict[str, Any] = {
    "kv-same": {"source": "x", "says": "No change.", "holds": "cache-parity"},
    "kv-speedup": {
        "source": "x",
        "says": "2.33 times as fast.",
        "level": {"cache": "dynamic"},
        "at": {"new_tokens": 256},
        "ratio": 2.33,
    },
    "kv-growth": {
        "source": "x",
        "says": "It grows.",
        "level": {"cache": "dynamic"},
        "trend": "increasing",
        "over": "new_tokens",
    },
    "kv-memory": {
        "source": "x",
        "says": "Bytes.",
        "metric": "cache_bytes",
        "formula": "cache_bytes_formula",
        "also_holds": "cache-bytes",
    },
}


def study(**changes: Any) -> LoadedStudy:
    document: dict[str, Any] = {
        "study": "planted",
        "question": "Faster?",
        "task": "generate",
        "base": {},
        "compare": {"cache": ["none", "dynamic", "static"]},
        "across": {"new_tokens": [16, 64, 256]},
        "design": {"rounds": 10},
        "primary": SPEED,
        "invariants": ["cache-parity", "cache-bytes"],
        "claims": CLAIMS,
    }
    declared = Study.read(document | changes)
    return LoadedStudy(
        path=Path("studies/planted.yaml"),
        source="",
        scale="cpu",
        study=declared,
        arms=arms(declared),
        conditions=conditions(declared),
        tasks={},
    )


def flat(ratio: float) -> Callable[[str, int], float]:
    return lambda cache, _tokens: 1.0 if cache == "none" else ratio


def growing(cache: str, tokens: int) -> float:
    """2.33 at 256 new tokens, 1.5 at 16."""
    return 1.0 if cache == "none" else 1.5 * (2.33 / 1.5) ** (math.log2(tokens / 16) / 4)


@dataclass(frozen=True, kw_only=True)
class Planted:
    """`ratio(cache, new_tokens)` is the true speed over the baseline's; `noise` the SD of its logarithm from
    trial to trial.
    """

    loaded: LoadedStudy = field(default_factory=study)
    ratio: Callable[[str, int], float] = growing
    noise: float = 0.02
    drift: float = 0.0
    units: int = 3
    seed: int = 3

    def frames(self) -> MemoryFrames:
        random = np.random.default_rng(self.seed)
        rows: list[TrialRow] = []
        samples: list[tuple[int, str, int, float]] = []
        design = self.loaded.study.design
        for round_ in range(1, design.rounds + 1):
            for seed in range(design.seeds):
                for condition in self.loaded.conditions:
                    tokens = int(condition.names.get("new_tokens", 64))
                    order = _order(len(self.loaded.arms), round_ + seed)
                    begun = len(rows)
                    for position, arm in zip(order, self.loaded.arms, strict=True):
                        cache = arm.names.get("cache", "none")
                        trial = _row(len(rows) + 1, arm.name, condition.names, seed, round_, tokens)
                        trial = replace(trial, position=begun + int(position))
                        rows.append(trial)
                        speed = 500 * self.ratio(cache, tokens) * math.exp(random.normal(0, self.noise))
                        speed *= math.exp(self.drift * round_)
                        held = 0.0 if cache == "none" else 1024.0 * (tokens + 32)
                        for unit in range(self.units):
                            value = speed * math.exp(random.normal(0, min(0.003, self.noise)))
                            samples += [(trial.id, SPEED, unit, value), (trial.id, LATENCY, unit, 1 / value)]
                        samples += [
                            (trial.id, "cache_bytes", 0, held),
                            (trial.id, "cache_bytes_formula", 0, held),
                            (trial.id, "peak_tensor_bytes", 0, 1_000_000 + held),
                        ]
        return MemoryFrames(
            samples=sample_frame(rows, samples), trials=tuple(rows), checks=tuple(_checks(self.loaded))
        )

    def analysis(self) -> Analysis:
        return analyse(self.loaded, self.frames())


def _order(arms: int, turn: int) -> list[int]:
    """The position of each arm in a round. As in a plan, the arms take turns at the first position; the
    others are in random order.
    """
    first = turn % arms
    rest = np.random.default_rng(turn).permutation([arm for arm in range(arms) if arm != first])
    return [0 if arm == first else 1 + int(np.flatnonzero(rest == arm)[0]) for arm in range(arms)]


def _row(number: int, arm: str, condition: dict[str, str], seed: int, round_: int, tokens: int) -> TrialRow:
    return TrialRow(
        id=number,
        run_id="r",
        session_id=1,
        spec_id=f"s{number}",
        purpose="measure",
        task="generate",
        arm=arm,
        condition=dict(condition),
        seed=seed,
        round=round_,
        position=number,
        attempt=1,
        state="finished",
        superseded_state=None,
        started_at="",
        seconds=1.0,
        spec_json="{}",
        outputs={"tokens": f"{tokens}/{seed}"},
        spent={"new_tokens": 2.0 * tokens, "parameters": 660_000.0},
        notes={},
        error=None,
        traceback=None,
        nvml_reason=None,
    )


def _checks(loaded: LoadedStudy) -> Iterable[CheckRow]:
    for invariant in loaded.study.invariants:
        for arm in loaded.arms:
            for precision, tolerance in (("float64", 1e-10), ("float32", 1e-5)):
                yield CheckRow(
                    trial_id=1,
                    invariant=invariant,
                    arm=arm.name,
                    case="one query",
                    precision=precision,
                    passed=True,
                    deviation=tolerance / 50,
                    tolerance=tolerance,
                    compared=64,
                    skipped=0,
                    detail="",
                )


def spoil_check(
    frames: MemoryFrames, *, arm: str, invariant: str = "cache-parity", **changes: Any
) -> MemoryFrames:
    """The frames with changed checks of one invariant on one arm."""
    return replace(
        frames,
        checks=tuple(
            replace(c, **changes) if (c.arm, c.invariant) == (arm, invariant) else c for c in frames.checks
        ),
    )


def spoil_trials(frames: MemoryFrames, wanted: Callable[[TrialRow], bool], **changes: Any) -> MemoryFrames:
    return replace(frames, trials=tuple(replace(t, **changes) if wanted(t) else t for t in frames.trials))


def claim(analysis: Analysis, name: str) -> SettledClaim:
    return next(claim for claim in analysis.claims if claim.id == name)


def verdicts(analysis: Analysis) -> dict[str, str]:
    return {claim.id: claim.verdict for claim in analysis.claims}


def contrast(
    analysis: Analysis, metric: str = SPEED, arm: str = "cache=dynamic", tokens: int = 256
) -> Contrast:
    wanted = {"new_tokens": str(tokens)}
    return next(
        c for c in analysis.contrasts if (c.metric, c.arm) == (metric, arm) and c.condition in (wanted, {})
    )
