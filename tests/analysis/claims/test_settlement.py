"""What is declared exploratory has no verdict, unless it is exact."""

from __future__ import annotations

import pytest

from harness.analysis.analyse import analyse
from tests.analysis.planted import CLAIMS, Planted, claim, spoil_check, study, verdicts


def test_two_exploratory_rounds_confirm_what_is_exact_and_nothing_else() -> None:
    loaded = study(design={"rounds": 2, "exploratory": True})
    result = Planted(loaded=loaded, noise=0.001).analysis()
    assert verdicts(result) == {
        "kv-same": "confirmed",
        "kv-speedup": "undecided",
        "kv-growth": "undecided",
        "kv-memory": "confirmed",
    }
    speedup = claim(result, "kv-speedup")
    assert speedup.interval == "unbounded"
    assert speedup.sentence.endswith(
        "(95 % interval unbounded, 2 rounds of one model): exploratory, so there is no verdict."
    )
    assert claim(result, "kv-growth").interval == "unbounded"
    assert {c.verdict for c in result.contrasts if not c.metric.startswith("cache_bytes")} <= {
        "undecided",
        "identical",
    }
    assert "the study is exploratory, so effects are shown without a verdict" in result.answer
    everything = " ".join([result.answer, *(c.sentence + c.interval for c in result.claims)])
    assert " inf" not in everything
    assert "nan" not in everything


def test_many_exploratory_rounds_do_not_decide_either() -> None:
    result = Planted(loaded=study(design={"rounds": 10, "exploratory": True})).analysis()
    assert verdicts(result)["kv-speedup"] == "undecided"
    assert "confirmed" not in claim(result, "kv-speedup").sentence


@pytest.mark.parametrize("name", ["kv-same", "kv-speedup", "kv-growth", "kv-memory"])
def test_what_is_declared_exploratory_shows_its_effect_and_stays_open(name: str) -> None:
    declared = {name: {**CLAIMS[name], "exploratory": "one seed only"}}
    result = claim(Planted(loaded=study(claims=declared)).analysis(), name)
    assert result.verdict == "undecided"
    assert result.sentence.endswith("exploratory (one seed only), so there is no verdict.")
    assert result.effect == claim(Planted().analysis(), name).effect


def test_a_broken_invariant_is_told_even_of_what_was_declared_exploratory() -> None:
    loaded = study(claims={"it": {**CLAIMS["kv-same"], "exploratory": "why"}})
    frames = spoil_check(Planted(loaded=loaded).frames(), arm="cache=static", passed=False)
    assert claim(analyse(loaded, frames), "it").verdict == "invalid"
