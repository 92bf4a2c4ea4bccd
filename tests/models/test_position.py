"""T5's buckets: sizes that leave no distance for the logarithmic half are refused when the config is read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.models.config import RelativePosition
from harness.models.position import bucket


@pytest.mark.parametrize(("buckets", "max_distance"), [(32, 16), (64, 20)])
def test_a_max_distance_within_the_exact_buckets_is_refused(buckets: int, max_distance: int) -> None:
    with pytest.raises(ValidationError, match=f"longer distances up to max_distance {max_distance};"):
        RelativePosition(buckets=buckets, max_distance=max_distance)


@pytest.mark.parametrize("causal", [False, True])
def test_buckets_only_grow_with_distance_and_end_at_the_last(*, causal: bool) -> None:
    settings = RelativePosition(buckets=32, max_distance=17)
    buckets = [bucket(-distance, settings, causal=causal) for distance in range(40)]
    assert buckets == sorted(buckets)
    assert buckets[-1] == (31 if causal else 15)
