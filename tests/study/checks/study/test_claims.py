"""Claims that name what is not there, or that the design could never decide: one line with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import StudyError
from harness.study.checks.checker import StudyChecker
from harness.study.checks.study import check_claims
from harness.study.claims.ratio import RatioClaim
from harness.study.load import load_study
from harness.study.loaded import Study
from harness.study.reading.yaml_document import Document, read_text
from harness.tasks.base import Task
from harness.tasks.registry import task_class
from tests.support.tiny_study import STUDY, loaded, put, spoilt

TRAINING = """\
study: learned
question: Which learns better?
task: train
base: {}
compare:
  std: [0.02, 0.01, 0.04]
  lr: [1e-3, 5e-4, 2e-3]
  warmup: [100, 50, 200]
  decay: [low: {optimizer.decay: 0.1}, half: {optimizer.decay: 0.05}, twice: {optimizer.decay: 0.2}]
  clip: [1.0, 0.5, 2.0]
design: {seeds: 12}
primary: validation_loss
claims:
  it: {source: here, says: So., CLAIM}
"""
SENSITIVE = "most_sensitive: std, among: [std, lr, warmup, decay, clip], by: 2"
FAST = "    level: {cache: dynamic}\n    at: {new_tokens: 32}\n    ratio: 2.0\n"

NO_DIRECTION = (
    "14:75: neither higher nor lower values of gradient_norm are better, so arms cannot be compared by it"
)
NOT_A_DIRECTION = "23:16: claims.fast.direction: 'faster' is not an allowed value"
ONE_WAY = "19:5: claims.fast: a claim names its arm by exactly one of level, all_of and any_of"


def check_written(document: Document, task: type[Task]) -> None:
    study = Study.read(document.data)
    check_claims(StudyChecker(study, document, task), study.claims)


def refusal_of_training(claim: str, old: str = "", new: str = "") -> str:
    text = TRAINING.replace("CLAIM", claim)
    document = read_text(spoilt(text, old, new) if old else text, file="t.yaml")
    with pytest.raises(StudyError) as caught:
        check_written(document, task_class("train"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("reaches: 3.0, level: {std: 0.01}, metric: gradient_norm", NO_DIRECTION),
        (
            "reaches: 3.0, level: {std: 0.01}, metric: peak_rss_bytes",
            "14:75: it: `reaches` needs a loss metric, and peak_rss_bytes is not one",
        ),
        (SENSITIVE.replace("lr,", "lr, lr,"), "14:71: factor 'lr' is written twice"),
        (
            SENSITIVE.replace("std,", "sdt,", 1),
            "14:49: `among` has no factor 'sdt'; did you mean 'std'?",
        ),
        (
            SENSITIVE.replace("clip]", "clip, tied]"),
            "14:92: `compare` has no factor 'tied'; known: clip, decay, lr, std, warmup",
        ),
        (
            SENSITIVE.replace("by: 2", "by: 3"),
            "14:62: it needs arms with std at its default ÷ 3 and × 3",
        ),
        (SENSITIVE + ", metric: update_seconds", None),
    ],
)
def test_a_claim_on_trainings_that_cannot_be_decided(claim: str, message: str | None) -> None:
    refusal = refusal_of_training(claim)
    assert refusal.startswith("t.yaml:14:")
    if message is not None:
        assert refusal == f"t.yaml:{message}"


def test_claims_on_trainings_that_can_be() -> None:
    for claim in (
        SENSITIVE,
        "reaches: 3.0, level: {std: 0.01}",
        "diverges: less, level: {std: 0.01}, against: {lr: 2e-3}",
        "direction: better, any_of: [{std: 0.01}, {std: 0.04}]",
    ):
        for seeds in ("{seeds: 12}", "{seeds: 5, exploratory: true}"):
            text = TRAINING.replace("CLAIM", claim).replace("{seeds: 12}", seeds)
            document = read_text(text, file="t.yaml")
            check_written(document, task_class("train"))


def test_too_few_seeds_for_a_ranking_or_for_any_of_many() -> None:
    few = ("design: {seeds: 12}", "design: {seeds: 7}")
    any_of = "exploratory: no, " + SENSITIVE
    assert "are too few to decide 10 comparisons" in refusal_of_training(any_of, *few)
    refusal = refusal_of_training(SENSITIVE, "design: {seeds: 12}", "design: {seeds: 6}")
    assert refusal.startswith("t.yaml:11:17: 6 seeds are too few to decide it; use at least 8, or")


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (
            "    at: {new_tokens: 32}\n    ratio: 2.0\n",
            f"{ONE_WAY}; this one has none of them",
        ),
        (
            FAST + "    any_of: [{cache: dynamic}, {cache: static}]\n",
            f"{ONE_WAY}; this one has level and any_of",
        ),
        (
            FAST.replace("level: {cache: dynamic}", "all_of: [{cache: dynamic}]"),
            "21:13: claims.fast.all_of: needs at least 2 items, but has 1",
        ),
        (
            FAST.replace("level: {cache: dynamic}", "all_of: [{cache: dynamic}, {cache: dynamic}]"),
            "21:32: fast names cache=dynamic twice",
        ),
        (FAST + "    against: {cache: dynamic}\n", "21:5: fast compares cache=dynamic with itself"),
        (
            FAST + "    against: {cache: fixed}\n",
            "24:22: cache has no level 'fixed'; known: dynamic, none, static",
        ),
        (
            FAST.replace("ratio: 2.0", "at_least: 0"),
            "23:15: claims.fast.at_least: must be greater than 0, found 0",
        ),
        (
            FAST.replace("ratio: 2.0", "direction: faster"),
            f"{NOT_A_DIRECTION}; known: better, higher, lower, worse",
        ),
        (
            FAST.replace("ratio: 2.0", "no_difference: false"),
            "23:20: claims.fast.no_difference: false is not an allowed value",
        ),
        (FAST + "    exploratory: ''\n", "24:18: claims.fast.exploratory: must not be empty"),
        (
            FAST.replace("ratio: 2.0", "diverges: less"),
            "19:5: nothing can diverge: task 'generate' does not produce the metric 'loss'",
        ),
    ],
)
def test_a_claim_on_arms_that_cannot_be_compared(
    new: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError) as caught:
        load_study(put(Path(), spoilt(STUDY, FAST, new)))
    assert str(caught.value).startswith(f"studies/tiny.yaml:{message}")


def test_ten_rounds_decide_any_of_two_and_six_only_what_is_exploratory(tmp_path: Path) -> None:
    either = FAST.replace("level: {cache: dynamic}", "any_of: [{cache: dynamic}, {cache: static}]")
    assert loaded(tmp_path, (FAST, either)).study.claims["fast"].source == "here"
    few = (("rounds: 10", "rounds: 6"), ("[8, 16, 32]", "[32]"))
    with pytest.raises(StudyError, match="6 rounds are too few to decide"):
        loaded(tmp_path, (FAST, either), *few)


@pytest.mark.parametrize(
    ("metric", "message"),
    [("los", "there is no metric 'los'"), ("update_seconds", "a reference must be about a loss")],
)
def test_a_reference_that_is_none(metric: str, message: str, tmp_path: Path) -> None:
    text = f"references: [{{source: here, metric: {metric}, updates: 10, at_least: 2.0}}]\nclaims:\n"
    with pytest.raises(StudyError, match=message):
        loaded(tmp_path, ("claims:\n", text))


def test_a_claimed_change_that_no_change_would_confirm_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"region 0\.931 to 1\.45 of the claimed 1\.164 contains 1.*`within` below 1\.16"
    ):
        RatioClaim(source="here", says="So.", level={"cache": "dynamic"}, ratio=1.164)
    assert (
        RatioClaim(source="here", says="So.", level={"cache": "dynamic"}, ratio=1.164, within=1.16).ratio
        == 1.164
    )
    assert RatioClaim(source="here", says="So.", level={"cache": "dynamic"}, ratio=1.0).region == (0.8, 1.25)


WRITING = """\
study: written
question: Which writes best?
task: translate
base: {}
compare:
  decoding: [greedy, beam]
primary: bleu
claims:
  it: {source: here, says: So., level: {decoding: beam}, metric: perplexity_per_token, CLAIM}
"""


def test_of_perplexities_a_direction_is_claimed_and_no_ratio() -> None:
    """Resampling bounds a difference at the margin alone, of the logs of perplexities as of scores."""
    for claim in ("direction: better", "no_difference: true"):
        check_writing(claim)
    with pytest.raises(StudyError) as caught:
        check_writing("ratio: 0.5")
    assert str(caught.value).startswith(
        "t.yaml:9:3: it: perplexity_per_token is compared by resampling sentences, "
        "which cannot decide a ratio"
    )


def check_writing(claim: str) -> None:
    document = read_text(WRITING.replace("CLAIM", claim), file="t.yaml")
    check_written(document, task_class("translate"))
