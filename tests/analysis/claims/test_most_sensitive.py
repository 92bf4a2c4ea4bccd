"""A factor among the most sensitive ones."""

from __future__ import annotations

from harness.study.loaded import LoadedStudy
from tests.analysis.claims.settled_claims import settled_training
from tests.analysis.learned import training_study


def sensitivity(*names: str, seeds: int = 9) -> LoadedStudy:
    """With a claim about each of the factors, of which the first one is `it`."""
    factors = {
        "std": [0.02, 0.01, 0.04],
        "lr": [1e-3, 5e-4, 2e-3],
        "warmup": [100, 50, 200],
        "decay": [0.1, 0.05, 0.2],
        "clip": [1.0, 0.5, 2.0],
    }
    claims = {
        claim_id: {
            "source": "x",
            "says": "So.",
            "most_sensitive": name,
            "among": list(factors),
            "by": 2,
        }
        for claim_id, name in zip(("it", "other"), names, strict=False)
    }
    return training_study(compare=factors, claims=claims, design={"seeds": seeds})


def steepness(names: dict[str, str]) -> float:
    moved = {"std": 0.5, "lr": 0.4, "warmup": 0.1, "decay": 0.05, "clip": 0.02}
    defaults = {"std": "0.02", "lr": "0.001", "warmup": "100", "decay": "0.1", "clip": "1.0"}
    return 1.5 - sum(moved[factor] for factor, level in names.items() if level != defaults[factor])


def test_among_the_most_sensitive() -> None:
    result = settled_training(sensitivity("std"), speed=steepness)
    assert (result.verdict, result.n, result.claimed) == ("confirmed", 9, "among the 2 most sensitive of 5")
    assert "is: std 1." in result.sentence
    assert result.sentence.endswith(
        "Of the 4 other factors, 4 are significantly less sensitive than std (3 are needed to confirm), "
        "and 0 are significantly more sensitive (2 are needed to refute)."
    )
    assert settled_training(sensitivity("clip"), speed=steepness).verdict == "refuted"


def test_a_factor_that_diverges_is_the_most_sensitive() -> None:
    result = settled_training(sensitivity("std"), speed=steepness, lost=lambda arm, _seed: "std=0.04" in arm)
    assert result.verdict == "confirmed"


def test_the_sentence_counts_at_the_level_at_which_the_claim_is_tested() -> None:
    """Eight seeds and four rivals reach p = 4 / 128 at best: enough for one claim, and not for two."""
    alone = settled_training(sensitivity("std", seeds=8), speed=steepness)
    assert (alone.verdict, "4 are significantly less" in alone.sentence) == ("confirmed", True)
    of_two = settled_training(sensitivity("std", "lr", seeds=8), speed=steepness)
    assert (of_two.verdict, "0 are significantly less" in of_two.sentence) == ("undecided", True)
