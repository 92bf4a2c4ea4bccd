"""The texts that every score is tested on."""

import pytest

from tests.scoring.synthetic import Texts, make_texts


@pytest.fixture(scope="session")
def texts() -> Texts:
    return make_texts(120)
