"""Asserts of the shared checks explain themselves as those of test files do."""

import pytest

pytest.register_assert_rewrite(
    "tests.models.references.beams",
    "tests.models.references.decoder_parity",
    "tests.models.references.reference",
    "tests.models.references.translation_parity",
)
