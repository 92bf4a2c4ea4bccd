"""Contrasts of text scores: verdicts on one checkpoint and on a method, and what makes them invalid."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.analysis.analyse import analyse
from harness.analysis.claims.decision import Basis
from harness.analysis.results import Analysis
from harness.scoring.sentences import StoredStatistics
from harness.statistics import compare_scores
from tests.analysis.planted import claim
from tests.analysis.written import Written, of_arm, with_sentences, written_study

RIGHT = {"greedy": 0.6, "beam": 0.66, "wide": 0.6}


def test_a_difference_is_the_one_of_the_corpus_scores_with_its_interval_and_its_p() -> None:
    planted = Written(right=RIGHT)
    result = of_arm(planted.analysis(), "beam")
    arm, base = (planted.sentences(level, 0).statistics("bleu") for level in ("beam", "greedy"))
    assert result.effect == pytest.approx(arm.corpus_score - base.corpus_score)
    compared = compare_scores({0: arm}, {0: base})
    assert result.p == compared.p
    expected = compared.interval(1 - result.alpha)
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high), rel=1e-3)
    assert (result.n, result.verdict, result.relevant, result.margin) == (300, "better", True, 0.5)


def test_equal_outputs_are_identical_and_never_significant() -> None:
    result = of_arm(Written(right=RIGHT).analysis(), "wide")
    assert (result.verdict, result.effect, result.p, result.relevant) == ("identical", 0.0, 1.0, False)


def test_the_margin_is_in_points() -> None:
    close = Written(right={**RIGHT, "beam": 0.6005}, count=2000)
    assert of_arm(close.analysis(), "beam").verdict in ("equivalent", "identical")
    wide = Written(right=RIGHT, loaded=written_study(margins={"bleu": 20.0}))
    assert of_arm(wide.analysis(), "beam").verdict == "equivalent"


def test_swapping_the_arms_mirrors_the_verdict() -> None:
    forth = of_arm(Written(right=RIGHT).analysis(), "beam")
    back = of_arm(Written(right={**RIGHT, "greedy": 0.66, "beam": 0.6}).analysis(), "beam")
    assert (forth.verdict, back.verdict) == ("better", "worse")
    assert (back.effect, back.low, back.high) == pytest.approx((-forth.effect, -forth.high, -forth.low))


def test_seeds_that_scatter_leave_a_method_undecided_where_each_checkpoint_is_decided() -> None:
    loaded = written_study(design={"seeds": 6})
    steady = of_arm(Written(right=RIGHT, loaded=loaded).analysis(), "beam")
    scattered = of_arm(Written(right={**RIGHT, "beam": 0.605}, loaded=loaded, spread=0.05).analysis(), "beam")
    assert (steady.verdict, scattered.verdict) == ("better", "undecided")
    assert scattered.high - scattered.low > 2 * (steady.high - steady.low)


def test_other_signatures_lost_sentences_and_rounds_that_differ_are_invalid() -> None:
    planted = Written(right=RIGHT, loaded=written_study(design={"rounds": 2}))
    frames = planted.frames()
    stored = frames.sentences[2].scores["bleu"]
    mixed = with_sentences(frames, 2, scores={"bleu": replace(stored, signature="other")})
    mixed = with_sentences(mixed, 5, scores={"bleu": replace(stored, signature="other")})
    cases = {
        "signature": mixed,
        "without the sentences": with_sentences(frames, 2, scores={}),
        "differs between rounds of seed 0": with_sentences(
            frames,
            2,
            scores={"bleu": StoredStatistics(signature=stored.signature, values=stored.values[::-1])},
        ),
    }
    for reason, spoilt in cases.items():
        result = of_arm(analyse(planted.loaded, spoilt), "beam")
        assert result.verdict == "invalid"
        assert reason in result.reason


def claiming(form: dict[str, Any]) -> Any:
    base = {"source": "x", "says": "It is.", "level": {"decoding": "beam"}}
    return written_study(claims={"it": base | form})


@pytest.mark.parametrize(
    ("form", "beam", "verdict", "words"),
    [
        ({"direction": "better"}, 0.66, "confirmed", "above the baseline's"),
        ({"direction": "worse"}, 0.66, "refuted", "the opposite of the claim"),
        ({"direction": "better"}, 0.6, "refuted", "identical"),
        ({"no_difference": True}, 0.6, "confirmed", "identical"),
        ({"no_difference": True}, 0.7, "refuted", "the difference is larger than the margin of 0.5"),
        (
            {"direction": "better", "against": {"decoding": "wide"}},
            0.66,
            "confirmed",
            "above decoding=wide's",
        ),
        (
            {"direction": "better", "exploratory": "one checkpoint"},
            0.66,
            "undecided",
            "exploratory (one checkpoint)",
        ),
    ],
)
def test_claims_on_scores(form: dict[str, Any], beam: float, verdict: str, words: str) -> None:
    result = claim(Written(right={**RIGHT, "beam": beam}, loaded=claiming(form)).analysis(), "it")
    assert result.verdict == verdict
    assert words in result.sentence
    assert "300 distinct texts" in result.sentence
    assert result.basis is not None
    again = Basis.read(json.loads(json.dumps(result.basis)))
    assert again.verdict == verdict
    assert (again.tests.confirm, again.tests.refute) == (result.basis["p_confirm"], result.basis["p_refute"])


def test_a_claim_of_several_arms_hangs_on_the_weakest() -> None:
    both = {
        "source": "x",
        "says": "Both.",
        "all_of": [{"decoding": "beam"}, {"decoding": "wide"}],
        "direction": "better",
    }
    loaded = written_study(claims={"it": both})
    assert claim(Written(right=RIGHT, loaded=loaded).analysis(), "it").verdict == "refuted"
    better = Written(right={**RIGHT, "wide": 0.7}, loaded=loaded)
    assert claim(better.analysis(), "it").verdict == "confirmed"


def test_an_exploratory_study_shows_effects_alone() -> None:
    loaded = written_study(design={"exploratory": True})
    result = of_arm(Written(right=RIGHT, loaded=loaded).analysis(), "beam")
    assert (result.verdict, result.reason) == (
        "undecided",
        "exploratory: the effect is shown without a verdict",
    )


def test_the_answer_tells_points_not_ratios() -> None:
    answer = Written(right=RIGHT).analysis().answer
    assert "above the baseline's" in answer
    assert "300 distinct texts" in answer
    assert "×" not in answer


def perplexities(times: float, form: dict[str, Any]) -> Analysis:
    """An analysis of perplexities of about 400 per token; those of the beam are `times` as large."""
    stated = {"source": "x", "says": "So.", "level": {"decoding": "beam"}, **form}
    loaded = written_study(primary="perplexity_per_token", claims={"it": stated})
    frames = Written(right=RIGHT, loaded=loaded).frames()
    random = np.random.default_rng(4)
    nats, noise = random.normal(6.0, 0.5, 300), random.normal(0, 0.01, 300)
    sentences = {}
    for row in frames.trials:
        token_nats = nats + (math.log(times) + noise if row.arm == "decoding=beam" else 0)
        scores = {
            "perplexity_per_token": StoredStatistics(
                signature="t", values=tuple((nat, 1.0) for nat in token_nats)
            )
        }
        sentences[row.id] = replace(frames.sentences[row.id], scores=scores)
    samples = frames.samples.assign(metric="perplexity_per_token")
    return analyse(loaded, replace(frames, samples=samples, sentences=sentences))


@pytest.mark.parametrize(
    ("times", "contrast", "better", "same"),
    [
        (0.996, "equivalent", "refuted", "confirmed"),
        (0.97, "better", "confirmed", "refuted"),
        (1.1, "worse", "refuted", "refuted"),
    ],
)
def test_perplexities_are_compared_by_their_ratio(
    times: float, contrast: str, better: str, same: str
) -> None:
    """The margin is 1 % of any perplexity. A margin of half a point would mean something else for each
    perplexity.
    """
    for form, verdict in (({"direction": "better"}, better), ({"no_difference": True}, same)):
        result = perplexities(times, form)
        beam = of_arm(result, "beam")
        assert (beam.verdict, beam.margin) == (contrast, 0.01)
        assert beam.effect == pytest.approx(times, rel=0.003)
        assert beam.low < beam.effect < beam.high
        assert of_arm(result, "wide").verdict == "identical"
        settled = claim(result, "it")
        assert settled.verdict == verdict
        assert settled.basis is not None
        assert Basis.read(json.loads(json.dumps(settled.basis))).verdict == verdict
