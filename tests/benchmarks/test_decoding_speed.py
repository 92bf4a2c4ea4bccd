"""Decoding with and without a cache, in beams, with a draft: a group shows each as a ratio to the fastest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from harness.models.cache import StaticCache
from harness.models.config import CacheKind
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch, Speculative
from harness.models.decoding.greedy import greedy
from harness.models.decoding.speculative import TargetAndDraft, speculative
from harness.models.init import build_model
from tests.models.configs import model_config

PROMPT, NEW_TOKENS = 32, 64


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A second thread beside a busy process makes small products many times slower, and unevenly so."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("kind", get_args(CacheKind))
@pytest.mark.parametrize("preset", ["nano", "tiny"])
def test_decode_64_tokens_after_32(benchmark: BenchmarkFixture, preset: str, kind: CacheKind) -> None:
    benchmark.group = f"{preset}: {PROMPT} + {NEW_TOKENS} tokens, batch 1"
    model = build_model(model_config({"preset": preset}, vocab_size=2048), 0).eval()
    prompt = torch.randint(2048, (1, PROMPT), generator=torch.Generator().manual_seed(0))
    tokens = benchmark(greedy, model, prompt, new_tokens=NEW_TOKENS, cache=kind)
    assert torch.equal(tokens, greedy(model, prompt, new_tokens=NEW_TOKENS, cache="none"))


@pytest.mark.parametrize("tokens", [64, 256])
def test_prefill(benchmark: BenchmarkFixture, tokens: int) -> None:
    benchmark.group = "tiny: the prompt of a static cache, batch 1"
    model = build_model(model_config({"preset": "tiny"}, vocab_size=2048), 0).eval()
    prompt = torch.randint(2048, (1, tokens), generator=torch.Generator().manual_seed(0))
    made = benchmark(greedy, model, prompt, new_tokens=1, cache="static")
    assert torch.equal(made, greedy(model, prompt, new_tokens=1, cache="none"))


SENTENCES, BEAMS, WORDS = 16, 5, 32


@pytest.mark.parametrize("way", ["greedy", "5 greedy rows a sentence", "beam 5", "beam 5, all copied"])
def test_beam_5_beside_5_times_greedy(
    benchmark: BenchmarkFixture, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many forward passes over as many rows: what is above 1 is the price of choosing and of moving the
    cache.
    """
    words = WORDS if benchmark.enabled else WORDS // 4
    benchmark.group = f"tiny: {SENTENCES} sentences, {PROMPT} + {words} tokens, static cache"
    model = build_model(model_config({"preset": "tiny", "init_std": 0.05}, vocab_size=8000), 0).eval()
    prompt = torch.randint(8000, (SENTENCES, PROMPT), generator=torch.Generator().manual_seed(0))
    if way == "beam 5, all copied":
        monkeypatch.setattr(StaticCache, "reorder", copy_all)
    if way.startswith("beam"):
        settings = BeamSearch(width=BEAMS)
        beams = benchmark(beam_search, model, prompt, settings, new_tokens=words, cache="static")
        best = beam_search(model, prompt, settings, new_tokens=words, cache="dynamic")
        assert [row[0].tokens for row in beams] == [row[0].tokens for row in best]
    else:
        rows = prompt if way == "greedy" else prompt.repeat_interleave(BEAMS, dim=0)
        tokens = benchmark(greedy, model, rows, new_tokens=words, cache="static")
        assert tokens.shape == (len(rows), words)


def copy_all(self: StaticCache, rows: Sequence[int], *, shared: Sequence[int] | None = None) -> None:
    """Every row whole, as if nothing were known of what stays: the prefix that is alike too."""
    self.keep_rows(torch.tensor(rows))


@pytest.mark.parametrize("way", ["greedy", "speculative 4"])
def test_a_draft_that_is_mostly_right(benchmark: BenchmarkFixture, way: str) -> None:
    """The draft is the target's first layer; later layers add little, so that it is often right."""
    benchmark.group = f"tiny: {PROMPT} + {NEW_TOKENS} tokens, batch 1, a draft of one layer in four"
    sizes = {"preset": "tiny", "init_std": 0.05}
    target = build_model(model_config(sizes, vocab_size=2048), 0).eval()
    draft = build_model(model_config(sizes | {"n_layers": 1}, vocab_size=2048), 0).eval()
    with torch.no_grad():
        for name, parameter in target.named_parameters():
            if name.startswith(("blocks.1", "blocks.2", "blocks.3")):
                parameter.mul_(0.3)
    draft.load_state_dict({name: target.state_dict()[name] for name in draft.state_dict()})
    prompt = torch.randint(2048, (1, PROMPT), generator=torch.Generator().manual_seed(0))
    expected = greedy(target, prompt, new_tokens=NEW_TOKENS, cache="static")
    if way == "greedy":
        assert torch.equal(benchmark(greedy, target, prompt, new_tokens=NEW_TOKENS, cache="static"), expected)
    else:
        pair = TargetAndDraft(target=target, draft=draft)
        made = benchmark(speculative, pair, prompt, Speculative(), new_tokens=NEW_TOKENS, cache="static")
        benchmark.extra_info["acceptance rate"] = made.acceptance_rate
        assert torch.equal(made.tokens, expected)
