"""Queries for samples and telemetry, which may be very many: in pieces, and one value per attempt where that
is enough.

What an attempt recorded never changes once it has ended. So each piece is read in a transaction of its own,
and a writer of the database never waits for more than one of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, Row, Select, func, select

from harness.metrics import metric as record_of
from harness.store.engine import reading
from harness.store.pieces import (
    AT_ONCE,
    ATTEMPTS_AT_ONCE,
    WIDE_AT_ONCE,
    driver_rows,
    groups,
    in_parts,
    pages,
    row_counts,
    sample_counts,
)
from harness.store.tables import samples, telemetry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RawSample = tuple[int, str, int, float | None]
"""Attempt, metric, step and value, which may be None for NaN."""


class SampleReader:
    """The part of the store that reads samples and telemetry."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def sample_counts(self, attempt_ids: Iterable[int]) -> dict[str, dict[int, int]]:
        """Metric → attempt → the number of its samples, for the attempts that have any."""
        counts: dict[str, dict[int, int]] = defaultdict(dict)
        for ids in in_parts(sorted(attempt_ids), ATTEMPTS_AT_ONCE):
            with reading(self._engine) as connection:
                for attempt_id, metric, number in sample_counts(connection, ids):
                    counts[metric][attempt_id] = number
        return dict(counts)

    def sample_pieces(self, counts: Mapping[str, Mapping[int, int]]) -> Iterator[Sequence[RawSample]]:
        """All samples that `sample_counts` has counted, by attempt, metric and step, in lists of at most
        `AT_ONCE`.
        """
        totals: Counter[int] = Counter()
        for by_attempt in counts.values():
            totals.update(by_attempt)
        key = samples.primary_key.columns
        for group in groups(totals, AT_ONCE):
            query = select(samples).where(samples.c.attempt_id.in_(group))
            if totals[group[0]] > AT_ONCE:
                yield from pages(self._fetch, query, *key)
            else:
                yield self._fetch(query.order_by(*key))

    def measurements(
        self, metric: str, counts: Mapping[int, int]
    ) -> Iterator[tuple[list[int], NDArray[np.int64], NDArray[np.float64]]]:
        """The steps and the values of a metric, for a group of attempts after the other: attempts in their
        order, each with its samples in the order of their steps. `counts` is its part of `sample_counts`.
        """
        import numpy as np  # most queries do not need it

        of_metric = select(samples.c.step, samples.c.value).where(samples.c.metric == metric)
        for group in groups(counts, AT_ONCE):
            query = of_metric.where(samples.c.attempt_id.in_(group))
            if counts[group[0]] > AT_ONCE:
                parts = list(pages(self._fetch, query, samples.c.step))
            else:
                parts = [self._fetch(query.order_by(samples.c.attempt_id, samples.c.step))]
            steps = [np.array([step for step, _ in rows], dtype=np.int64) for rows in parts]
            values = [np.array([value for _, value in rows], dtype=np.float64) for rows in parts]
            yield group, np.concatenate(steps), np.concatenate(values)

    def _values(
        self, metric: str, counts: Mapping[int, int]
    ) -> Iterator[tuple[list[int], NDArray[np.float64]]]:
        """As `measurements`, without the steps, which takes half of the time."""
        import numpy as np

        of_metric = select(samples.c.value).where(samples.c.metric == metric)
        for group in groups(counts, AT_ONCE):
            if counts[group[0]] > AT_ONCE:
                yield from (
                    (ids, values)
                    for ids, _, values in self.measurements(metric, {group[0]: counts[group[0]]})
                )
            else:
                query = of_metric.where(samples.c.attempt_id.in_(group))
                rows = self._fetch(query.order_by(samples.c.attempt_id, samples.c.step))
                yield group, np.array([value for (value,) in rows], dtype=np.float64)

    def attempt_values(self, metric: str, counts: Mapping[int, int]) -> dict[int, float]:
        """The one value of a metric for each of these attempts, as the record of the metric says."""
        import numpy as np

        record, values = record_of(metric), dict[int, float]()
        if record.per_trial == "last":
            return self._last_values(metric, counts)
        for ids, measured in self._values(metric, counts):
            starts = np.cumsum([0, *(counts[attempt_id] for attempt_id in ids[:-1])])
            values |= zip(ids, record.of_trials(measured, starts).tolist(), strict=True)
        return values

    def _last_values(self, metric: str, counts: Mapping[int, int]) -> dict[int, float]:
        """The value at the last step of each of these attempts."""
        values: dict[int, float] = {}
        for ids in in_parts(sorted(counts), ATTEMPTS_AT_ONCE):
            chosen = (samples.c.metric == metric) & samples.c.attempt_id.in_(ids)
            last = select(samples.c.attempt_id, func.max(samples.c.step).label("step")).where(chosen)
            ends = last.group_by(samples.c.attempt_id).subquery()
            at_end = (samples.c.attempt_id == ends.c.attempt_id) & (samples.c.step == ends.c.step)
            query = select(samples.c.attempt_id, samples.c.value).join(ends, at_end)
            with reading(self._engine) as connection:
                values.update(connection.execute(query.where(samples.c.metric == metric)).all())
        return values

    def telemetry_pieces(
        self, attempt_ids: Iterable[int], columns: Sequence[str]
    ) -> Iterator[Sequence[Row[Any]]]:
        """The attempt, the number of the row, and these columns of the telemetry of each attempt, in the
        order in which it was recorded.
        """
        key = telemetry.c.attempt_id, telemetry.c.id
        query = select(*key, *(telemetry.c[name] for name in columns))
        for ids in in_parts(sorted(attempt_ids), ATTEMPTS_AT_ONCE):
            with reading(self._engine) as connection:
                sizes = row_counts(connection, telemetry, ids)
            for group in groups(sizes, WIDE_AT_ONCE):
                yield from pages(self._fetch_typed, query.where(telemetry.c.attempt_id.in_(group)), *key)

    def _fetch_typed(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with reading(self._engine) as connection:
            return connection.execute(query).all()

    def _fetch(self, query: Select[Any]) -> Sequence[Any]:
        with reading(self._engine) as connection:
            return driver_rows(connection, query)
