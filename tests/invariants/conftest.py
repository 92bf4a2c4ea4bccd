"""One thread, because threads that wait for busy cores make tiny models slow. No trial of the compiler."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _vector_instructions_are_not_tried_first() -> Iterator[None]:
    """Before torch compiles anything it compiles and loads a program for each kind of vector instruction, to
    see whether the compiler knows it. That takes as long as a quarter of what is compiled here. A compiler
    that does not know one fails at the first kernel instead.
    """
    from torch._inductor import config  # takes seconds, which only the tests of invariants need

    with config.patch({"cpp.vec_isa_ok": True}):
        yield
