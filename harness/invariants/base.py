"""What an invariant is: a sentence, checks that could refute it, and planted bugs that the checks must find."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, get_args

from harness.errors import InputError, did_you_mean
from models.config import CacheKind

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from models.transformer import Transformer

# Largest max|Δ| / max|reference| of a tensor that still counts as the same, by precision.
TOLERANCES = {"float64": 1e-10, "float32": 1e-5}

_KINDS: tuple[CacheKind, ...] = get_args(CacheKind)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison: `deviation` is max|Δ| / max|reference|; `compared` and `skipped` count positions."""

    case: str
    precision: str
    passed: bool
    deviation: float
    tolerance: float
    compared: int
    skipped: int
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A bug that can be planted for the length of a `with`, and the levels whose checks must then fail."""

    name: str
    summary: str
    levels: tuple[str, ...]
    plant: Callable[[], AbstractContextManager[None]]


class Subject(Protocol):
    """The study's own model and inputs; `prompts` is (B, P) int64, unpadded."""

    @property
    def model(self) -> Transformer: ...
    @property
    def prompts(self) -> Tensor: ...
    @property
    def new_tokens(self) -> int: ...
    @property
    def cache(self) -> CacheKind: ...


class Invariant(ABC):
    """Names and sentences are plain data, so that they can be listed without torch."""

    name: ClassVar[str]
    statement: ClassVar[str]
    mutants: ClassVar[tuple[Mutant, ...]]

    @abstractmethod
    def check_generic(self, level: str) -> Iterator[Check]:
        """On tiny random models, in float64, where rounding cannot hide a bug, and in float32."""

    @abstractmethod
    def check_subject(self, subject: Subject) -> Iterator[Check]:
        """On the study's own model, prompts and precision; raises InputError for one without a tolerance."""


def tolerance_of(dtype: torch.dtype) -> tuple[str, float]:
    """The precision's name and its tolerance."""
    name = str(dtype).removeprefix("torch.")
    if name not in TOLERANCES:
        raise InputError(
            f"invariants have no tolerance for {name}",
            hint="run the study in " + " or ".join(sorted(TOLERANCES)),
        )
    return name, TOLERANCES[name]


def cache_kind(level: str) -> CacheKind:
    """The level of a cache invariant as a kind of cache; raises InputError for an unknown one."""
    for kind in _KINDS:
        if kind == level:
            return kind
    raise InputError(f"unknown kind of cache {level!r}", hint=did_you_mean(level, _KINDS))


@contextmanager
def patched(owner: Any, attribute: str, replacement: Any) -> Iterator[None]:
    """Replace an attribute of a module or a class, and put the original back whatever happens."""
    original = getattr(owner, attribute)
    setattr(owner, attribute, replacement)
    try:
        yield
    finally:
        setattr(owner, attribute, original)
