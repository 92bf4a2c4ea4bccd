"""The tiny studies and recipes of the tests as a person writes them, to be changed one line at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import indent
from typing import Any

from ruamel.yaml import YAML

from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.planning.results import StoredResult
from harness.trial.spec import TrialSpec

RECIPE = """\
corpus: python-docs
tokenizer: {kind: bytes}
model: {d_model: 16, n_layers: 1, n_heads: 2, d_ff: 32, max_positions: 64}
batch: 4
length: 32
updates: 4
optimizer: {kind: adamw, lr: 1e-3}
schedule: {kind: cosine, warmup: 1}
evaluate_every: 2
evaluation_tokens: 256
"""
FILE = Path("studies/tiny.yaml")
LOSS, SPEED = "validation_loss", "decode_tokens_per_second"

STUDY = (
    """\
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
"""
    "  bytes: {source: here, says: Bytes follow the formula., "
    "metric: cache_bytes, formula: cache_bytes_formula, also_holds: cache-bytes}\n"
    """\
scales:
  smoke:
    design: {rounds: 2, exploratory: true}
    across: {new_tokens: [8, 32]}
"""
)

TUNED = f"""\
study: tiny
question: Does clipping help?
task: train
base:
{indent(RECIPE, "  ")}compare:
  clip: [1.0, 0.5, 0.25, 2.0]
design:
  seeds: 7
  tune:
    grid:
      optimizer.lr: [1e-4, 1e-3, 1e-2]
primary: validation_loss
"""


def writing_study(*, prompts: int) -> str:
    """A study of two ways of decoding, scored by BLEU."""
    return f"""\
study: writing
question: Which way of decoding writes best?
task: continue_text
base:
  model: {{recipe: small}}
  prompts: {{corpus: python-docs, split: test, count: {prompts}, tokens: 8}}
  new_tokens: 12
compare:
  decoding:
    - greedy: {{decoding: {{kind: greedy}}}}
    - beam: {{decoding: {{kind: beam, width: 2}}}}
primary: bleu
"""


def put(folder: Path, text: str | bytes = STUDY, *, recipe: str = RECIPE, name: str = FILE.name) -> Path:
    """Write the study and its recipe below `folder`, and return the path of the study."""
    file = folder / "studies" / name
    (file.parent / "recipes").mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    (file.parent / "recipes" / "small.yaml").write_text(recipe)
    return file


def spoilt(text: str, old: str, new: str) -> str:
    """`text` with its one `old` replaced. A patch that no longer fits is a broken test."""
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    return text.replace(old, new)


def patched(text: str, *patches: tuple[str, str]) -> str:
    """`text`, spoilt or changed by one patch after the other."""
    for old, new in patches:
        text = spoilt(text, old, new)
    return text


def recipe(*patches: tuple[str, str]) -> dict[str, Any]:
    """The tiny recipe as settings, changed by the patches."""
    settings: dict[str, Any] = YAML(typ="safe", pure=True).load(patched(RECIPE, *patches))
    return settings


def loaded(folder: Path, *patches: tuple[str, str], scale: str = "cpu", recipe: str = RECIPE) -> LoadedStudy:
    """The tiny study, changed by the patches."""
    return load_study(put(folder, patched(STUDY, *patches), recipe=recipe), scale)[0]


def tuned_study(folder: Path, *patches: tuple[str, str], settings: Iterable[str] = ()) -> LoadedStudy:
    """The study whose learning rate is tuned, changed by the patches."""
    return load_study(put(folder, patched(TUNED, *patches)), settings=list(settings))[0]


def results(
    trials: Iterable[TrialSpec], value: Callable[[TrialSpec], float], name: str = LOSS
) -> dict[str, StoredResult]:
    """The results if all these trials have finished in one session."""
    return {
        spec.id: StoredResult(spec_id=spec.id, session=1, diverged=False, values={name: value(spec)})
        for spec in trials
    }


def lr(spec: TrialSpec) -> float:
    return float(spec.config["optimizer"]["lr"])
