from typing import get_args

import pytest

from harness.training.precision import Precision


@pytest.mark.parametrize("precision", get_args(Precision), ids=lambda kind: kind().kind)
def test_the_size_of_a_weight_is_that_of_its_type(precision: type[Precision]) -> None:
    made = precision()
    assert made.bytes_per_weight == made.weights_dtype.itemsize
