"""A study and its recipe as a person writes them, to be spoilt one line at a time."""

from __future__ import annotations

from pathlib import Path

from harness.study.load import load_study
from harness.study.loaded import LoadedStudy

STUDY = """\
study: tiny
question: Does a cache make generation faster?
task: generate
base:
  model: {recipe: small}
  prompts: {corpus: python-docs, split: test, count: 2, tokens: 8}
  new_tokens: 8
  cache: none
compare:
  cache: [none, dynamic, static]
across:
  new_tokens: [8, 16, 32]
design: {seeds: 1, rounds: 10}
primary: decode_tokens_per_second
invariants: [cache-parity, cache-bytes]
claims:
  same: {source: here, says: Nothing changes., holds: cache-parity}
  fast:
    source: here
    says: It is twice as fast.
    level: {cache: dynamic}
    at: {new_tokens: 32}
    ratio: 2.0
  grows: {source: here, says: The gain grows., level: {cache: dynamic}, trend: increasing, over: new_tokens}
  bytes: {source: here, says: Bytes follow the formula., metric: cache_bytes, formula: cache_bytes_formula, also_holds: cache-bytes}
scales:
  smoke:
    design: {rounds: 2, exploratory: true}
    across: {new_tokens: [8, 32]}
"""
RECIPE = """\
corpus: python-docs
tokenizer: {kind: bytes}
model: {d_model: 16, n_layers: 1, n_heads: 2, d_ff: 32, max_positions: 64}
batch: 4
length: 32
updates: 4
optimizer: {kind: adamw, lr: 1e-3}
schedule: {kind: cosine, warmup: 1}
"""
FILE = Path("studies/tiny.yaml")


def put(folder: Path, text: str | bytes = STUDY, *, recipe: str = RECIPE, name: str = FILE.name) -> Path:
    """The study and its recipe below `folder`; returns the study's path."""
    file = folder / "studies" / name
    (file.parent / "recipes").mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    (file.parent / "recipes" / "small.yaml").write_text(recipe)
    return file


def spoilt(text: str, old: str, new: str) -> str:
    """`text` with its one `old` replaced; a patch that no longer fits is a broken test."""
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    return text.replace(old, new)


def loaded(folder: Path, *patches: tuple[str, str], scale: str = "cpu", recipe: str = RECIPE) -> LoadedStudy:
    text = STUDY
    for old, new in patches:
        text = spoilt(text, old, new)
    return load_study(put(folder, text, recipe=recipe), scale)[0]
