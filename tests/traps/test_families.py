"""Who was fooled: those who believed a region that any figure lies in, a margin that no difference leaves,
and a difference of a billionth.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.errors import StudyError
from harness.study.checks.checker import StudyChecker
from harness.study.checks.study import check_families
from harness.study.loaded import LoadedStudy, Study
from harness.study.reading.yaml_document import read_text
from harness.tasks.registry import task_class
from tests.analysis.claims.settled_claims import settled_training, training_claim_study
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import SPEED, Planted, claim, flat, study
from tests.study.claims.stated_claims import DECODING, TRAINING, check, refusal

RATIO = "level: {cache: dynamic}, at: {new_tokens: 16}, ratio: "


@pytest.mark.parametrize("region", ["1.0, within: 1000", "40, within: 39", "3.0, within: 2.01"])
def test_a_region_that_almost_any_figure_lies_in_needs_a_reason(region: str) -> None:
    """Trap 21."""
    assert refusal(DECODING, RATIO + region) == (
        f"it: a `within` of {region.split()[-1]} is more than 2, so that almost any figure would confirm the "
        "claim; say why with `because: …`, which is printed beside the verdict"
    )
    check(DECODING, f"{RATIO}{region}, because: the source gives only the order of magnitude")
    check(DECODING, f"{RATIO}3.0, within: 2.0")


def test_an_exponent_has_such_a_bound_too() -> None:
    wide = "level: {cache: dynamic}, over: new_tokens, exponent: 3.0, within: 1.5"
    assert refusal(DECODING, wide).startswith("it: a `within` of 1.5 is more than 1, so that")
    check(DECODING, f"{wide}, because: two sources disagree")


def test_the_reason_for_a_wide_region_or_margin_is_printed_beside_the_verdict() -> None:
    form = {"source": "x", "says": "So.", "level": {"cache": "dynamic"}}
    loaded = study(
        compare={"cache": ["none", "dynamic"]},
        across={"new_tokens": [256]},
        margins={"time": 0.9},
        margin_reasons={"time": "a sketch"},
        claims={
            "wide": {**form, "ratio": 6.0, "within": 3.0, "because": "only an order is known"},
            "same": {**form, "no_difference": True},
        },
    )
    result = Planted(loaded=loaded, ratio=flat(3.0)).analysis()
    assert claim(result, "wide").sentence.endswith("The region is wider than usual: only an order is known.")
    assert claim(result, "same").sentence.endswith("The margin of 0.9 is wider than usual: a sketch.")


@pytest.mark.parametrize(
    ("text", "stated", "name"),
    [
        (TRAINING, "level: {std: 0.01}, at: {depth: 2, kind: a}, metric: skipped_updates", "skipped_updates"),
        (DECODING, "level: {cache: dynamic}, at: {new_tokens: 16}, metric: cache_bytes", "cache_bytes"),
    ],
)
def test_a_claim_on_a_count_declares_how_large_a_difference_does_not_matter(
    text: str, stated: str, name: str
) -> None:
    """Trap 22."""
    for form in ("direction: lower", "no_difference: true"):
        assert refusal(text, f"{stated}, {form}") == (
            f"it: {name} has no default margin, so any difference would count; "
            f"declare the largest difference that does not matter: `margins: {{{name}: …}}`"
        )
        check(text.replace("claims:", f"margins: {{{name}: 0.01}}\nclaims:"), f"{stated}, {form}")


def test_a_billionth_less_of_a_share_is_no_less() -> None:
    """Trap 22: real, on every seed, and negligible."""
    for direction, verdict in (("lower", "refuted"), ("higher", "refuted")):
        loaded = training_claim_study(metric="zero_gradients", direction=direction)
        result = settled_training(
            loaded, zeros=lambda arm, seed: 0.01 + 0.001 * seed - 1e-9 * (arm == "optimizer=lion")
        )
        assert result.verdict == verdict
        if direction == "lower":
            assert result.sentence.endswith("the difference is within the margin of 0.005.")


def test_a_difference_below_the_margin_confirms_no_direction_though_its_interval_leaves_the_margin() -> None:
    """Half a margin on most seeds, and one seed far beyond it."""

    def zeros(arm: str, seed: int) -> float:
        return 0.1 - (arm == "optimizer=lion") * (0.001 + 0.0015 * seed)

    result = settled_training(
        training_claim_study(
            {"margins": {"zero_gradients": 0.0063}}, metric="zero_gradients", direction="lower"
        ),
        zeros=zeros,
    )
    assert result.verdict == "undecided"
    assert "the measured difference is not larger than the margin" in result.sentence


CONDITIONS = list(range(16, 46))


def one_claim_per_condition(conditions: list[int], rounds: int) -> LoadedStudy:
    form = {"source": "x", "says": "Faster.", "level": {"cache": "dynamic"}, "direction": "better"}
    return study(
        compare={"cache": ["none", "dynamic"]},
        across={"new_tokens": conditions},
        design={"rounds": rounds},
        invariants=[],
        claims={f"at-{tokens}": {**form, "at": {"new_tokens": tokens}} for tokens in conditions},
    )


def test_one_claim_for_each_of_thirty_conditions_is_one_family() -> None:
    """Trap 16: of studies that compare a baseline with itself, one in twenty may hold a confirmed claim."""
    loaded = one_claim_per_condition(CONDITIONS, 6)
    for number in range(2):
        frames = Planted(loaded=loaded, ratio=flat(1.0), noise=0.02, units=1, seed=number).frames()
        result = analyse(loaded, frames)
        assert {settled.verdict for settled in result.claims} <= {"undecided", "refuted"}
        assert all(c.low <= 1 <= c.high for c in result.contrasts if c.metric == SPEED)


def test_a_family_that_can_never_reject_is_refused() -> None:
    """Thirty claims on 6 rounds; three claims on one contrast count once."""
    lines = "".join(
        f"  at-{tokens}: {{source: x, says: So., level: {{cache: dynamic}}, at: {{new_tokens: {tokens}}}, "
        "direction: better}\n"
        for tokens in (16, 64, 256)
    )
    text = DECODING.replace("  it: {source: here, says: So., CLAIM}\n", lines)
    for rounds, refused in ((6, True), (7, False)):
        document = read_text(text.replace("rounds: 12", f"rounds: {rounds}"), file="t.yaml")
        read = Study.read(document.data)
        checker = StudyChecker(read, document, task_class(read.task))
        if not refused:
            check_families(checker, read.claims)
            continue
        with pytest.raises(StudyError) as caught:
            check_families(checker, read.claims)
        assert "6 rounds are too few to decide 3 claims of the form direction" in str(caught.value)


def test_opposite_claims_and_several_regions_on_one_contrast_count_once() -> None:
    form = {"source": "x", "says": "So.", "level": {"cache": "dynamic"}, "at": {"new_tokens": 256}}
    loaded = study(
        claims={
            "up": {**form, "direction": "better"},
            "down": {**form, "direction": "worse"},
            "two": {**form, "ratio": 2.0},
            "three": {**form, "ratio": 3.0},
        },
        design={"rounds": 6},
    )
    result = Planted(loaded=loaded, ratio=flat(2.0), noise=0.01).analysis()
    expected = {"up": "confirmed", "down": "refuted", "two": "confirmed", "three": "refuted"}
    assert {settled.id: settled.verdict for settled in result.claims} == expected
    assert all("95 % interval" in settled.sentence for settled in result.claims)


def test_the_printed_interval_has_the_level_of_the_verdict() -> None:
    """Of two claims the smaller p is tested at 2.5 %: its interval is one of 97.5 %."""
    loaded = one_claim_per_condition([16, 64, 256], 10)
    speeds = {16: 1.5, 64: 1.2, 256: 1.0}
    result = Planted(
        loaded=loaded, ratio=lambda cache, tokens: speeds[tokens] if cache == "dynamic" else 1.0, noise=0.05
    ).analysis()
    confirmed, unsure = claim(result, "at-16"), claim(result, "at-256")
    assert confirmed.verdict == "confirmed"
    assert "98.3 % interval" in confirmed.sentence or "97.5 % interval" in confirmed.sentence
    for settled in result.claims:
        low, high = settled.numbers.low, settled.numbers.high
        assert low is not None
        assert high is not None
        assert (settled.verdict == "confirmed") == (low > 1)
    assert unsure.verdict != "confirmed"
    assert "By chance alone, at most" in result.answer


def test_two_claims_on_the_same_values_say_that_they_are_one_test() -> None:
    """Trap 22: with and without bfloat16 nothing vanishes, so both claims only compare float16 with zero."""
    form = {"source": "x", "says": "Fewer.", "metric": "zero_gradients", "direction": "lower"}
    loaded = training_study(
        compare={"optimizer": ["adam", "lion", "muon"]},
        claims={name: {**form, "level": {"optimizer": name}} for name in ("lion", "muon")},
    )
    result = Learned(
        loaded=loaded, zeros=lambda arm, seed: (0.1 + 0.01 * seed) * (arm == "optimizer=adam")
    ).analysis()
    assert claim(result, "lion").sentence.endswith(
        "muon rests on exactly the same values, so they are one test."
    )


def test_a_lost_claim_stays_in_its_family() -> None:
    loaded = one_claim_per_condition([16, 64, 256], 7)
    frames = Planted(loaded=loaded, ratio=flat(1.2), noise=0.01).frames()
    before = analyse(loaded, frames)
    gone = frames.samples[~((frames.samples["new_tokens"] == "64") & (frames.samples["metric"] == SPEED))]
    after = analyse(loaded, replace(frames, samples=gone))
    strength = {"confirmed": 1, "refuted": 1, "undecided": 0, "invalid": 0}
    for name in ("at-16", "at-256"):
        assert strength[claim(after, name).verdict] <= strength[claim(before, name).verdict]
    assert claim(after, "at-64").verdict == "invalid"
