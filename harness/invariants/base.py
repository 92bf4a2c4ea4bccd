"""What an invariant is: a sentence, checks that could refute it, and planted bugs that the checks must find."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args

from harness.errors import InputError, did_you_mean
from harness.invariants.subjects import Subject
from harness.models.config import CacheKind

if TYPE_CHECKING:
    import torch

# Largest max|Δ| / max|reference| of a tensor that still counts as the same, by precision. In 16 bits it is 8
# unit roundoffs (2^-8 of bfloat16, 2^-11 of float16): torch.testing.assert_close allows a single operation 2
# to 4 of them, and cached against whole decoding of random models came to 3 of bfloat16 and 5 of float16.
TOLERANCES: Mapping[str, float] = {
    "float64": 1e-10,
    "float32": 1e-5,
    "bfloat16": 8 * 2**-8,
    "float16": 8 * 2**-11,
}
# Of what is compared after many updates, over which rounding grows.
CURVES: Mapping[str, float] = {**TOLERANCES, "float64": 1e-8, "float32": 1e-4}
# Of what must be the same to the last bit.
BITWISE: Mapping[str, float] = dict.fromkeys(TOLERANCES, 0.0)

# The level of an invariant that asks the same of every arm.
ANY = "any"

CACHE_KINDS: tuple[CacheKind, ...] = get_args(CacheKind)


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
    """A bug that can be planted for the length of a `with`, and the levels whose checks must then fail.

    `bug` is a function of a module, so that processes that a check starts can plant it too.
    """

    name: str
    summary: str
    bug: Callable[[], AbstractContextManager[None]]
    levels: tuple[str, ...] = (ANY,)

    @contextmanager
    def plant(self) -> Iterator[None]:
        with self.bug():
            PLANTED.append(self)
            try:
                yield
            finally:
                PLANTED.pop()


PLANTED: list[Mutant] = []
"""The bugs that are planted in this process now."""


S = TypeVar("S", bound=Subject)


class Invariant(Generic[S]):
    """Names and sentences are plain data, so that they can be listed without torch.

    `needs` is what a study's arm must offer for the invariant to be checked on it. Where arms of one kind
    must be checked in another way than others, each kind is a level: "dynamic", "static" for kinds of cache.
    """

    name: ClassVar[str]
    statement: ClassVar[str]
    mutants: ClassVar[tuple[Mutant, ...]]
    needs: ClassVar[type[Subject]] = Subject
    levels: ClassVar[tuple[str, ...]] = (ANY,)

    def level_of(self, subject: S) -> str:  # noqa: ARG002  those with several levels read it
        """The level of a study's arm."""
        return self.levels[0]

    def wants_alike(self, settings: Mapping[str, Any]) -> bool:  # noqa: ARG002  most want no arm's outputs alike
        """Whether an arm of a task with these settings is to give exactly what the baseline gives."""
        return False

    def check(self, level: str = ANY) -> Iterator[Check]:
        """The checks of a level on tiny random models: in float64, where rounding cannot hide a bug, and in
        float32.

        Raises InputError if there is no such level.
        """
        if level not in self.levels:
            raise InputError(f"{self.name} has no level {level!r}", hint=did_you_mean(level, self.levels))
        return self.check_generic(level)

    def check_generic(self, level: str) -> Iterator[Check]:
        """The checks of a level that exists."""
        checks: Iterator[Check] = self._checks_module().generic_checks(level)
        return checks

    def check_subject(self, subject: S) -> Iterator[Check]:
        """The checks on the study's own model, inputs and precision.

        Raises InputError if there is no tolerance for the precision.
        """
        checks: Iterator[Check] = self._checks_module().subject_checks(subject)
        return checks

    def _checks_module(self) -> ModuleType:
        """`checks` in the folder of the invariant: it needs torch, which listing invariants does not."""
        return import_module(f"{type(self).__module__}.checks")


def cache_kind(level: str) -> CacheKind:
    """The level of a cache invariant as the kind of cache that it is."""
    return next(kind for kind in CACHE_KINDS if kind == level)


def tolerance_of(dtype: torch.dtype, tolerances: Mapping[str, float] = TOLERANCES) -> tuple[str, float]:
    """The precision's name and its tolerance."""
    name = str(dtype).removeprefix("torch.")
    if name not in tolerances:
        raise InputError(
            f"invariants have no tolerance for {name}",
            hint="run the study in " + ", ".join(sorted(tolerances)),
        )
    return name, tolerances[name]


@contextmanager
def patched(owner: Any, attribute: str, replacement: Any) -> Iterator[None]:
    """Replace an attribute of a module or a class, and put the original back whatever happens."""
    original = getattr(owner, attribute)
    setattr(owner, attribute, replacement)
    try:
        yield
    finally:
        setattr(owner, attribute, original)


@contextmanager
def replaced(original: Any, replacement: Any) -> Iterator[None]:
    """Replace a function in every module of ours that holds it, by whatever name, and put it back."""
    _rebind(original, replacement)
    try:
        yield
    finally:
        _rebind(replacement, original)


def _rebind(old: Any, new: Any) -> None:
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] == "harness":
            for name, value in list(vars(module).items()):
                if value is old:
                    setattr(module, name, new)
