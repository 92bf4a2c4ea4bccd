"""Column types that return exactly what was stored, both on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import math
from typing import Any

from sqlalchemy import Dialect, Double, Text
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from harness.masking import masked


class _Untyped(UserDefinedType[float]):
    """A SQLite column without a type, which stores each value as it is bound."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return ""


class Float64(TypeDecorator[float]):
    """Any IEEE 754 double, bit for bit except for the payload of a NaN.

    SQLite cannot store a NaN and writes NULL instead, so NULL in such a column always means NaN and is read
    as NaN. PostgreSQL stores NaN. A SQLite column of the type REAL would lose the sign of −0.0, because it
    stores whole numbers as integers, so the column has no declared type there. Values must be bound as
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
    """A number of a verdict, or None. NaN is stored as None: the number could not be computed."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:  # noqa: ARG002
        return None if value is None or math.isnan(value) else float(value)


class Json(TypeDecorator[Any]):
    """JSON as ASCII text with sorted keys and without white space.

    NaN and infinities are written as Python's json writes them.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else json.loads(value)


class Prose(TypeDecorator[str]):
    """Text from any source, such as the traceback of a process, without secrets.

    NUL, which PostgreSQL refuses, and lone surrogates, which UTF-8 does not allow, are written as escapes:
    the output of a worker must never be the reason why its trial cannot be recorded.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None:
            return None
        return masked(value).encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
