"""Column types that give back what was put in, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import json
import math
from typing import Any

from sqlalchemy import Dialect, Double, Text
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType


class _Untyped(UserDefinedType[float]):
    """A SQLite column without a type: it stores each value as it is bound."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return ""


class Float64(TypeDecorator[float]):
    """Any IEEE 754 double, bit for bit except for the payload of a NaN.

    SQLite cannot store a NaN and writes NULL instead, so in such a column NULL means NaN and nothing else,
    and reads as NaN. PostgreSQL keeps NaN itself. A SQLite column declared REAL would lose the sign of −0.0
    (it packs whole numbers as integers), so there the column has no declared type; values must be bound as
    `float`.
    """

    impl = Double
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(_Untyped() if dialect.name == "sqlite" else Double())

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:  # noqa: ARG002
        return None if value is None else float(value)

    def process_result_value(self, value: float | None, dialect: Dialect) -> float:  # noqa: ARG002
        return math.nan if value is None else value


class Figure(TypeDecorator[float]):
    """A number that a judgement arrived at, or None. NaN is none: a figure that nobody could compute."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:  # noqa: ARG002
        return None if value is None or math.isnan(value) else float(value)


class Json(TypeDecorator[Any]):
    """JSON as text: sorted keys, no white space, all ASCII.

    NaN and infinities as Python's json writes them.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else json.loads(value)


class Prose(TypeDecorator[str]):
    """Text from anywhere, such as the traceback of a dying process.

    NUL (PostgreSQL refuses it) and lone surrogates (no UTF-8 has them) are written as escapes: what a worker
    said last must never be the reason that its trial cannot be recorded.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None:
            return None
        return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
