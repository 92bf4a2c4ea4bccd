"""Peak bytes of tensors against counts made by hand. Rows of 1000 float32 are 4000 bytes."""

from functools import partial

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from harness.telemetry.tensor_memory import TensorPeak


def test_peak_is_what_was_alive_together() -> None:
    with TensorPeak() as memory:
        a = torch.zeros(1000)
        b = a + 1
        c = b * 2
        assert memory.live_bytes == 12_000
        del a, b
        assert memory.live_bytes == 4000
        torch.zeros(500)
    assert memory.peak_bytes == 12_000
    del c
    assert memory.live_bytes == 4000  # what it was at the end of the region


def test_views_and_in_place_results_add_nothing() -> None:
    with TensorPeak() as memory:
        a = torch.zeros(10, 100)
        view = a.t()[3:]
        a.add_(1)
        del a
        assert memory.live_bytes == 4000  # a view keeps the whole storage
        del view
    assert (memory.live_bytes, memory.peak_bytes) == (0, 4000)


def test_tensors_from_before_count_only_by_what_they_grow() -> None:
    before, out = torch.zeros(1000), torch.zeros(0)
    with TensorPeak() as memory:
        before.mul_(2)
        before.view(10, 100)
        assert memory.peak_bytes == 0
        torch.add(before, before, out=out)
        assert memory.live_bytes == 4000
        del out
        assert memory.live_bytes == 0
        del before
    assert (memory.live_bytes, memory.peak_bytes) == (0, 4000)


def test_held_tensors_count_until_they_die() -> None:
    weight = torch.zeros(1000)
    state = torch.zeros(500)
    with TensorPeak(held=[weight, weight[:10], state]) as memory:
        assert memory.live_bytes == memory.peak_bytes == 6000
        del state
        activation = weight * 2
    assert memory.live_bytes == memory.peak_bytes == 8000
    assert activation.numel() == 1000


def test_what_autograd_saves_is_alive() -> None:
    def chain() -> None:
        x = torch.zeros(1000, requires_grad=True)
        for _ in range(5):
            x = x.exp()  # the backward pass needs each result

    with TensorPeak() as saved:
        chain()
    with TensorPeak() as unsaved, torch.no_grad():
        chain()
    assert saved.peak_bytes == 6 * 4000
    assert unsaved.peak_bytes == 2 * 4000  # one result and the next


def test_backward_pass_is_counted() -> None:
    x, grad = torch.ones(10, 100), torch.ones(10, 100)
    weight = torch.nn.Parameter(torch.ones(100, 100))
    with TensorPeak(held=[weight]) as memory:
        assert memory.live_bytes == 40_000
        y = x @ weight
        y.backward(grad)  # type: ignore[no-untyped-call]
    assert memory.live_bytes == 40_000 + 4000 + 40_000  # the weight, y, the weight's gradient
    assert memory.peak_bytes == memory.live_bytes
    assert weight.grad is not None
    assert weight.grad.sum() == 100 * 100 * 10


def test_checkpointing_is_seen_to_save_memory() -> None:
    def block(x: torch.Tensor) -> torch.Tensor:
        return x.exp().exp().exp().exp()

    def peak(*, checkpointed: bool) -> int:
        x = torch.zeros(1000, requires_grad=True)
        lean = partial(checkpoint, block, use_reentrant=False, preserve_rng_state=False)
        forward = lean if checkpointed else block
        with TensorPeak() as memory:
            for _ in range(6):
                x = forward(x)
        return memory.peak_bytes

    assert peak(checkpointed=False) == 6 * 4 * 4000
    assert (
        peak(checkpointed=True) == (5 + 2) * 4000
    )  # what enters blocks 2 to 6; one result of the last and the next


def test_tensors_made_from_data_count_from_their_birth() -> None:
    with TensorPeak() as memory:
        made = torch.tensor([0.0] * 1000)
        assert memory.live_bytes == 4000
        copy = made.clone()
    assert memory.peak_bytes == 8000
    assert copy.numel() == 1000


def test_results_in_lists_are_counted_once() -> None:
    with TensorPeak() as memory:
        parts = torch.zeros(10, 100).unbind(0)
        del parts
        together = torch.stack([torch.zeros(500), torch.zeros(500)])
    assert memory.peak_bytes == 2000 + 2000 + 4000
    assert memory.live_bytes == together.untyped_storage().nbytes()


def test_peak_stands_after_the_region_and_repeats_exactly() -> None:
    def peak() -> int:
        model = torch.nn.Linear(32, 32)
        with TensorPeak(held=model.parameters()) as memory:
            model(torch.ones(8, 32)).square().sum().backward()
        torch.zeros(10**6)
        return memory.peak_bytes

    assert peak() == peak()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int8, torch.bool])
def test_bytes_follow_the_type(dtype: torch.dtype) -> None:
    with TensorPeak() as memory:
        torch.zeros(1000, dtype=dtype)
    assert memory.peak_bytes == 1000 * dtype.itemsize
