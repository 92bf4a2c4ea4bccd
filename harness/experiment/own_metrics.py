"""What is done for a study knows the metrics that the study declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from harness.metrics import Metric, declared

Parameters = ParamSpec("Parameters")
Given = TypeVar("Given")


class HasRecords(Protocol):
    """Something about a study."""

    @property
    def records(self) -> Mapping[str, Metric]: ...


Subject = TypeVar("Subject", bound=HasRecords)


def with_declared_metrics(
    method: Callable[Concatenate[Subject, Parameters], Given],
) -> Callable[Concatenate[Subject, Parameters], Given]:
    """The method, in which the metrics that the study of its object declares are known."""

    @wraps(method)
    def known(self: Subject, /, *args: Parameters.args, **options: Parameters.kwargs) -> Given:
        with declared(self.records):
            return method(self, *args, **options)

    return known


def with_records(records: Mapping[str, Metric], items: Iterator[Given]) -> Iterator[Given]:
    """The items, each of which is made while these metrics are known."""
    while True:
        with declared(records):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
