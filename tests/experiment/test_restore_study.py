"""The report of a tuned study is verified from the store, even if the study's file has changed or
is missing.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.report.build import write_report
from harness.report.source import report_input
from harness.search.tuning import next_candidates
from harness.store.rows import Identity
from harness.store.store import open_store
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import schedule
from harness.study.planning.resolved import deciding_metrics
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec
from harness.verify.verify import compare, recompute, verify
from tests.end_to_end.workplace import Workplace
from tests.support.tiny_study import LOSS, TUNED, spoilt

FINALISTS = spoilt(TUNED, "[1e-4, 1e-3, 1e-2]", "{factor: 3, count: 3}\n    finalists: 2")
SEARCHED = spoilt(
    TUNED,
    "grid:\n      optimizer.lr: [1e-4, 1e-3, 1e-2]",
    "search: {space: {optimizer.lr: {factor: 3}}, points: 3}",
)
EVEN = spoilt(FINALISTS, "count: 3", "count: 4")
OF_DEFAULTS = spoilt(FINALISTS, "optimizer.lr: {factor: 3, count: 3}", "optimizer.eps: {factor: 3, count: 4}")
LEVELS = spoilt(
    FINALISTS,
    "  clip: [1.0, 0.5, 0.25, 2.0]",
    "  optimizer:\n    - adam: {optimizer: {kind: adamw, lr: 2.5e-3}}\n"
    "    - lion: {optimizer: {kind: lion, lr: 7.123456789e-4}}\n"
    "    - sgd: {optimizer: {kind: sgd, lr: 0.1}}",
)
RECIPES = """\
study: tiny
question: Which model writes best, with its best beams?
task: continue_text
base:
  model: {recipe: small}
  prompts: {corpus: python-docs, split: test, count: 40, tokens: 8}
  new_tokens: 12
  decoding: {kind: beam, width: 4}
compare:
  model:
    - small: {model.recipe: small}
    - wide: {model.recipe: wide}
    - flat: {model.recipe: wide, decoding.width: 6}
design:
  tune: {grid: {decoding.width: {factor: 1.5, count: 3}}, by: sentence_seconds, finalists: 2}
  rounds: 2
  exploratory: true
parity: {differ: [parameters]}
primary: sentence_seconds
"""


def reported(workplace: Workplace, text: str) -> tuple[Path, Path]:
    """The report of a run of this study, and the store."""
    workplace.study.write_text(text)
    recipe = workplace.study.parent / "recipes" / "small.yaml"
    (recipe.parent / "wide.yaml").write_text(spoilt(recipe.read_text(), "d_ff: 32", "d_ff: 64"))
    (loaded,) = load_study(workplace.study)
    report, location = workplace.folder / "tuned.html", workplace.folder / "harness.db"
    with open_store(location) as store:
        run = store.create_run(
            Identity(study_digest="5" * 16, scale="cpu", code_digest="c" * 16, environment_digest="e" * 16),
            study="tiny",
            study_json=loaded.study.model_dump_json(),
            study_source=loaded.source,
            environment={},
            trials=[],
        )
        session, position = store.open_session(run, {}), 0
        tune, metrics = loaded.study.design.tune, deciding_metrics(loaded.study)
        ask = next_candidates if tune is not None and tune.search is not None else None
        for batch in schedule(loaded, lambda: store.results(run, metrics), ask):
            store.extend_plan(run, batch.trials)
            for spec in batch.trials:
                attempt = store.begin_trial(run, session, spec, position=position)
                store.finish_trial(attempt, _outcome(loaded, spec), seconds=1.0)
                position += 1
        store.close_session(session)
        assert store.results(run)
        write_report([report_input(store, loaded, run)], report)
    return report, location


def _outcome(loaded: LoadedStudy, spec: TrialSpec) -> Outcome:
    name = loaded.study.primary
    number = int(spec.id[-6:], 16) / 16**6
    value = 5.0 + number if name == LOSS else round(20 + 20 * number)
    return Outcome(status="finished", samples=(Sample(name, 3, value),), spent={"updates": 4.0})


@pytest.mark.parametrize("text", [FINALISTS, EVEN, OF_DEFAULTS, LEVELS, RECIPES, SEARCHED])
def test_a_tuned_study_is_verified_even_if_its_file_was_edited(tmp_path: Path, text: str) -> None:
    workplace = Workplace.make(tmp_path, cache=tmp_path, code=tmp_path)
    report, store = reported(workplace, text)
    assert verify(report, str(store)).difference is None
    workplace.study.write_text(spoilt(text, "factor: ", "factor: 9"))
    for recipe in (workplace.study.parent / "recipes").iterdir():
        recipe.unlink()
    verification = verify(report, str(store))
    assert (verification.difference, len(verification.notes)) == (None, 1)


def test_without_the_file_the_report_is_verified_and_a_changed_number_is_detected(tmp_path: Path) -> None:
    workplace = Workplace.make(tmp_path, cache=tmp_path, code=tmp_path)
    report, store = reported(workplace, FINALISTS)
    workplace.study.unlink()
    page = report.read_text(encoding="utf-8")
    again = recompute(page, report, str(store))
    assert compare(page, again).difference is None
    for section in ("tuning", "comparison"):
        start = page.index(f'<section id="{section}"')
        end = page.index("</section>", start)
        digit = re.search(r">[^<]*\d\.(\d)", page[start:end])
        assert digit is not None
        position = start + digit.start(1)
        forged = f"{page[:position]}{(int(page[position]) + 1) % 10}{page[position + 1 :]}"
        assert compare(forged, again).difference is not None
