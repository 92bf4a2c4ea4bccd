"""What an invariant is: a statement, checks that can refute it, and planted bugs that they must find."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from pkgutil import resolve_name
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast, get_args

from harness.errors import InputError, did_you_mean
from harness.invariants.subjects import Subject, TrainingSubject, WritingSubject
from harness.models.config import CacheKind

if TYPE_CHECKING:
    import torch

# The largest max|Δ| / max|reference| of two tensors that count as the same, per precision. In 16 bits it is
# 8 unit roundoffs (2^-8 for bfloat16, 2^-11 for float16): torch.testing.assert_close allows 2 to 4 of them
# for a single operation, and decoding with and without a cache differed by 3 in bfloat16, by 5 in float16.
TOLERANCES: Mapping[str, float] = {
    "float64": 1e-10,
    "float32": 1e-5,
    "bfloat16": 8 * 2**-8,
    "float16": 8 * 2**-11,
}
# For values that are compared after many updates, during which rounding errors grow.
CURVES: Mapping[str, float] = {**TOLERANCES, "float64": 1e-8, "float32": 1e-4}
# For values that must be equal to the last bit.
BITWISE: Mapping[str, float] = dict.fromkeys(TOLERANCES, 0.0)

# The only level of an invariant that checks every arm in the same way.
ANY = "any"

CACHE_KINDS: tuple[CacheKind, ...] = get_args(CacheKind)
# The levels at which something is cached.
CACHED = CACHE_KINDS[1:]


@dataclass(frozen=True, kw_only=True)
class Check:
    """The result of one comparison: `deviation` is max|Δ| / max|reference|; `compared` and `skipped` are
    numbers of positions.
    """

    case: str
    precision: str
    passed: bool
    deviation: float
    tolerance: float
    compared: int
    skipped: int
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class PlantedBug:
    """A bug that can be planted for the duration of a `with` block, and the levels whose checks must then
    fail.

    `bug` is a module's function, so that the processes that a check starts can plant it too.
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


PLANTED: list[PlantedBug] = []
"""The bugs that are planted in this process at the moment."""


S = TypeVar("S", bound=Subject)
W = TypeVar("W", bound=WritingSubject)


class Invariant(Generic[S]):
    """Names and statements are plain data, so that they can be listed without torch.

    The name is that of the invariant's folder, with hyphens. The type argument S is the subject that a
    study's arm must offer so that the invariant can be checked on it; `needs` holds it. If some kinds of arm
    are checked differently, each kind is a level, for example "dynamic" and "static" for kinds of cache.
    """

    name: ClassVar[str]
    needs: ClassVar[type[Subject]]
    statement: ClassVar[str]
    planted_bugs: ClassVar[tuple[PlantedBug, ...]]
    levels: ClassVar[tuple[str, ...]] = (ANY,)

    def __init_subclass__(cls) -> None:
        cls.name = vars(cls).get("name", cls.__module__.rpartition(".")[2].replace("_", "-"))
        (cls.needs,) = get_args(vars(cls)["__orig_bases__"][0])

    def level_of(self, subject: S) -> str:  # noqa: ARG002  invariants with several levels use it
        """The level at which a study's arm is checked."""
        return self.levels[0]

    def wants_alike(self, settings: Mapping[str, Any]) -> bool:  # noqa: ARG002  most demand no equal outputs
        """Whether an arm with these settings of its task must give exactly the baseline's outputs."""
        return False

    def planted_bug(self, name: str) -> PlantedBug:
        """The planted bug of that name. Raises InputError if there is none."""
        for bug in self.planted_bugs:
            if bug.name == name:
                return bug
        raise InputError(
            f"{self.name} has no planted bug {name!r}",
            hint=did_you_mean(name, [bug.name for bug in self.planted_bugs]),
        )

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
        """The checks on the study's own model, inputs and precision. A scale of the loss that would skip the
        arm's first update is lowered.

        Raises InputError if there is no tolerance for the precision.
        """
        if isinstance(subject, TrainingSubject) and self.needs is TrainingSubject:
            from harness.invariants.support.scales import without_overflow  # needs torch

            return self._checks_on(cast("S", without_overflow(subject)))
        return self._checks_on(subject)

    def _checks_on(self, subject: S) -> Iterator[Check]:
        checks: Iterator[Check] = self._checks_module().subject_checks(subject)
        return checks

    def _checks_module(self) -> ModuleType:
        """`checks` in the folder of the invariant: it needs torch, which listing invariants does not."""
        return import_module(f"{type(self).__module__}.checks")


class CacheInvariant(Invariant[W]):
    """An invariant of decoding. The level is the kind of cache."""

    levels: ClassVar[tuple[str, ...]] = CACHE_KINDS

    def level_of(self, subject: W) -> str:
        return subject.cache


def cache_kind(level: str) -> CacheKind:
    """The kind of cache that a level of a cache invariant names."""
    return next(kind for kind in CACHE_KINDS if kind == level)


def tolerance_of(dtype: torch.dtype, tolerances: Mapping[str, float] = TOLERANCES) -> tuple[str, float]:
    """The precision's name and its tolerance. Raises InputError if there is no tolerance for it."""
    name = str(dtype).removeprefix("torch.")
    if name not in tolerances:
        raise InputError(
            f"invariants have no tolerance for {name}",
            hint="run the study in " + ", ".join(sorted(tolerances)),
        )
    return name, tolerances[name]


@contextmanager
def patched(owner: Any, attribute: str, replacement: Any) -> Iterator[None]:
    """Replace an attribute of a module or a class, and always restore the original."""
    original = getattr(owner, attribute)
    setattr(owner, attribute, replacement)
    try:
        yield
    finally:
        setattr(owner, attribute, original)


def instead_of(
    module: str, *names: str, everywhere: bool = False
) -> Callable[[Callable[..., Any]], Callable[[], AbstractContextManager[None]]]:
    """Makes a bug of the decorated function: it runs instead of each named function `f` or method `C.m` of a
    module, and its first argument is the original.

    A function is replaced in this module only, or with `everywhere` in every module of this project that has
    it. The module is imported when the bug is planted.
    """

    def planted(wrong: Callable[..., Any]) -> Callable[[], AbstractContextManager[None]]:
        @wraps(wrong)
        @contextmanager
        def bug() -> Iterator[None]:
            with ExitStack() as stack:
                for name in names:
                    class_name, _, attribute = name.rpartition(".")
                    owner = resolve_name(f"{module}:{class_name}")
                    original = getattr(owner, attribute)
                    wrapped = _with_original(wrong, original)
                    change = replaced(original, wrapped) if everywhere else patched(owner, attribute, wrapped)
                    stack.enter_context(change)
                yield

        return bug

    return planted


def _with_original(wrong: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    """A function and not a `partial`, because it may become a method."""

    def replacement(*arguments: Any, **named: Any) -> Any:
        return wrong(original, *arguments, **named)

    return replacement


@contextmanager
def replaced(original: Any, replacement: Any) -> Iterator[None]:
    """Replace a function in every module of this project that has it, under any name, and restore it."""
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
