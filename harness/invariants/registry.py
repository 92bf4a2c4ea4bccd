"""Every invariant by its name. Torch-free, so that plans can list them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from harness.errors import InputError, did_you_mean
from harness.invariants.accumulation_parity import AccumulationParity
from harness.invariants.amp_skips import AmpSkips
from harness.invariants.base import Invariant
from harness.invariants.beam_greedy import BeamGreedy
from harness.invariants.cache_bytes import CacheBytes
from harness.invariants.cache_parity import CacheParity
from harness.invariants.causality import Causality
from harness.invariants.checkpointing_parity import CheckpointingParity
from harness.invariants.compiled_parity import CompiledParity
from harness.invariants.loss_closed_form import LossClosedForm
from harness.invariants.optimizer_parity import OptimizerParity
from harness.invariants.padding_parity import PaddingParity
from harness.invariants.ranks_parity import RanksParity
from harness.invariants.resume_parity import ResumeParity
from harness.invariants.schedule_per_update import SchedulePerUpdate
from harness.invariants.speculative_target import SpeculativeTarget
from harness.invariants.tied_embeddings import TiedEmbeddings

INVARIANTS: Mapping[str, Invariant[Any]] = MappingProxyType(
    {
        invariant.name: invariant
        for invariant in (
            CacheParity(),
            CacheBytes(),
            PaddingParity(),
            Causality(),
            BeamGreedy(),
            SpeculativeTarget(),
            LossClosedForm(),
            TiedEmbeddings(),
            CheckpointingParity(),
            AccumulationParity(),
            SchedulePerUpdate(),
            AmpSkips(),
            OptimizerParity(),
            CompiledParity(),
            ResumeParity(),
            RanksParity(),
        )
    }
)


def find_invariant(name: str) -> Invariant[Any]:
    """Raises InputError, with the nearest known names, for an unknown one."""
    if name not in INVARIANTS:
        raise InputError(f"unknown invariant {name!r}", hint=did_you_mean(name, INVARIANTS))
    return INVARIANTS[name]
