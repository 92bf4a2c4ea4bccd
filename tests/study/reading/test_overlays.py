"""A study of several parts: what they share, what each says itself, what a scale and the command line say of
them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import StudyError
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from tests.support.tiny_study import RECIPE, STUDY, put, spoilt

PARTS = """\
study: both
question: What does a cache do to speed and to memory?
task: generate
base:
  model: {recipe: small}
  prompts: {corpus: python-docs, split: test, count: 2, tokens: 8}
  new_tokens: 8
compare:
  cache: [none, dynamic]
primary: decode_tokens_per_second
design: {rounds: 6}
parts:
  speed:
    across: {new_tokens: [8, 16]}
    design: {rounds: 10}
    claims:
      fast: {source: here, says: Twice as fast., level: {cache: dynamic}, at: {new_tokens: 8}, ratio: 2.0}
  memory:
    primary: cache_bytes
    base: {prompts: {count: 4}}
    invariants: [cache-bytes]
    claims:
      bytes: {source: here, says: As the formula., metric: cache_bytes, formula: cache_bytes_formula}
scales:
  smoke:
    design: {rounds: 2, exploratory: true}
    base: {new_tokens: 4}
    parts:
      speed: {across: {new_tokens: [8]}}
"""

DECLARED = "parity: {differ: [prompt_tokens, prompts]}"


def parts(folder: Path, text: str = PARTS, scale: str = "cpu", *settings: str) -> dict[str, LoadedStudy]:
    return {part.part: part for part in load_study(put(folder, text), scale, settings)}


def refusal(folder: Path, text: str, *settings: str) -> str:
    with pytest.raises(StudyError) as caught:
        parts(folder, text, "cpu", *settings)
    return str(caught.value).removeprefix(f"{folder}/studies/tiny.yaml:")


def test_each_part_is_a_comparison_of_its_own_on_what_all_share(tmp_path: Path) -> None:
    by_part = parts(tmp_path)
    assert list(by_part) == ["speed", "memory"]
    assert [part.name for part in by_part.values()] == ["both", "both"]
    assert [part.study.study for part in by_part.values()] == ["both/speed", "both/memory"]
    speed, memory = by_part["speed"].study, by_part["memory"].study
    assert (speed.design.rounds, memory.design.rounds) == (10, 6)
    assert (speed.primary, memory.primary) == ("decode_tokens_per_second", "cache_bytes")
    assert (set(speed.claims), set(memory.claims)) == ({"fast"}, {"bytes"})
    assert memory.base["prompts"] == {"corpus": "python-docs", "split": "test", "count": 4, "tokens": 8}
    assert speed.base["prompts"]["count"] == 2
    assert (len(by_part["speed"].conditions), len(by_part["memory"].conditions)) == (2, 1)
    assert speed.digest != memory.digest


def test_a_part_alone_is_the_same_study_under_its_own_name(tmp_path: Path) -> None:
    part = parts(tmp_path)["memory"].study.plain()
    alone = PARTS[: PARTS.index("parts:")].replace(
        "primary: decode_tokens_per_second", "primary: cache_bytes"
    )
    alone = alone.replace("count: 2", "count: 4") + (
        "invariants: [cache-bytes]\nclaims:\n"
        "  bytes: {source: here, says: As the formula., metric: cache_bytes, formula: cache_bytes_formula}\n"
    )
    (alone_study,) = load_study(put(tmp_path, alone, name="alone.yaml"))
    assert alone_study.study.plain() == part | {"study": "both"}


def test_a_scale_is_laid_on_every_part_and_then_on_one(tmp_path: Path) -> None:
    by_part = parts(tmp_path, PARTS, "smoke")
    assert [part.study.design.rounds for part in by_part.values()] == [2, 2]
    assert [part.study.base["new_tokens"] for part in by_part.values()] == [4, 4]
    assert [condition.name for condition in by_part["speed"].conditions] == ["new_tokens=8"]


def test_a_setting_is_for_all_parts_or_for_one(tmp_path: Path) -> None:
    by_part = parts(tmp_path, PARTS, "cpu", "design.rounds=7", "parts.memory.base.prompts.count=1")
    assert [part.study.design.rounds for part in by_part.values()] == [7, 7]
    assert [part.study.base["prompts"]["count"] for part in by_part.values()] == [2, 1]


def test_a_scale_leaves_a_claim_out_with_the_arms_that_it_needs(tmp_path: Path) -> None:
    body = spoilt(PARTS, "cache: [none, dynamic]", "cache: [none, static, dynamic]")
    smoke = "      speed: {across: {new_tokens: [8]}, compare: {cache: [none, static]}"
    text = spoilt(body, "      speed: {across: {new_tokens: [8]}", f"{smoke}, claims: {{fast: null}}")
    by_part = parts(tmp_path, text, "smoke")
    assert (set(by_part["speed"].study.claims), set(by_part["memory"].study.claims)) == (set(), {"bytes"})
    assert set(parts(tmp_path, text)["speed"].study.claims) == {"fast"}
    remaining = spoilt(text, ", claims: {fast: null}", "")
    assert "cache has no level 'dynamic'" in refusal(tmp_path, remaining)


def test_a_claim_of_all_parts_is_left_to_one_by_the_others(tmp_path: Path) -> None:
    claim = "claims: {all: {source: s, says: t, metric: cache_bytes, formula: cache_bytes_formula}}\nparts:\n"
    text = spoilt(PARTS, "\nparts:\n", f"\n{claim}")
    by_part = parts(tmp_path, spoilt(text, "      fast: {", "      all: null\n      fast: {"))
    assert (set(by_part["speed"].study.claims), set(by_part["memory"].study.claims)) == (
        {"fast"},
        {"all", "bytes"},
    )


def test_a_scale_leaves_out_factors_and_conditions(tmp_path: Path) -> None:
    body = spoilt(
        PARTS, "  cache: [none, dynamic]", "  cache: [none, dynamic]\n  prompts.tokens: [8, 4]\n" + DECLARED
    )
    by_part = parts(
        tmp_path,
        spoilt(
            body,
            "    base: {new_tokens: 4}",
            "    base: {new_tokens: 4}\n    compare: {prompts.tokens: null}",
        ),
        "smoke",
    )
    assert [list(part.study.compare) for part in by_part.values()] == [["cache"], ["cache"]]
    gone = "speed: {across: {new_tokens: null}, claims: {fast: null}"
    speed = parts(tmp_path, spoilt(PARTS, "speed: {across: {new_tokens: [8]}", gone), "smoke")["speed"]
    assert ([condition.name for condition in speed.conditions], speed.study.across) == ([""], {})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  memory:\n",
            "  Memory:\n",
            (
                "18:3: parts: 'Memory' is not a valid name; use lowercase letters, digits and "
                "underscores, and begin with a letter"
            ),
        ),
        (
            "    primary: cache_bytes\n",
            "    question: Why?\n",
            "19:5: key 'question' belongs to the study, not to one of its parts",
        ),
        (
            "    primary: cache_bytes\n",
            "    primary: cache_byte\n",
            (
                "19:14: task 'generate' does not produce the metric 'cache_byte' (in part memory); did "
                "you mean 'cache_bytes' or 'cache_bytes_formula'?"
            ),
        ),
        (
            "      bytes:",
            "      fast:",
            "23:7: two parts have a claim 'fast' (in part memory); remove it from one of them",
        ),
        (
            "      speed: {across",
            "      sped: {across",
            "29:7: there is no part 'sped'; did you mean 'speed'?",
        ),
        (
            "speed: {across",
            "speed: {claims: {fats: null}, across",
            (
                "29:24: there is no claim 'fats' to leave out (in part speed, at scale smoke); did you mean "
                "'fast'?"
            ),
        ),
        (
            "speed: {across",
            "speed: {compare: {cash: null}, across",
            (
                "29:25: there is no factor 'cash' to leave out (in part speed, at scale smoke); did you mean "
                "'cache'?"
            ),
        ),
        (
            "{new_tokens: [8]}}",
            "{batch: null}}",
            (
                "29:24: there is no condition 'batch' to leave out (in part speed, at scale smoke); known: "
                "new_tokens"
            ),
        ),
        (
            "speed: {across",
            "speed: {claims: {bytes: null}, across",
            "29:24: there is no claim 'bytes' to leave out (in part speed, at scale smoke); known: fast",
        ),
        (
            "      fast: {",
            "      fast: null\n      slow: {",
            "17:7: there is no claim 'fast' to leave out (in part speed)",
        ),
        (
            "rounds: 2, expl",
            "rounds: many, expl",
            "26:22: design.rounds: expected an integer, found 'many' (in part speed, at scale smoke)",
        ),
        (
            "    design: {rounds: 10}\n",
            "    desing: {rounds: 10}\n",
            "15:5: unknown key 'desing' (in part speed); did you mean 'design'?",
        ),
    ],
)
def test_a_mistake_is_told_with_its_part(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert refusal(tmp_path, spoilt(PARTS, old, new)) == message


@pytest.mark.parametrize(
    ("parts_text", "message"),
    [
        ("parts: 3\n", "12:8: parts: expected a mapping of names to settings, found 3"),
        ("parts: {}\n", "12:8: parts: expected a mapping of names to settings, found a mapping"),
        ("parts: {cost: 5}\n", "12:15: parts.cost: expected a mapping, found 5"),
        ("parts: [cost]\n", "12:8: parts: expected a mapping of names to settings, found a list"),
    ],
)
def test_parts_that_are_none(tmp_path: Path, parts_text: str, message: str) -> None:
    assert refusal(tmp_path, PARTS[: PARTS.index("parts:")] + parts_text) == message


def test_a_claim_of_all_parts_is_refused(tmp_path: Path) -> None:
    claim = "claims: {b: {source: s, says: t, metric: cache_bytes, formula: cache_bytes_formula}}\nparts:\n"
    message = refusal(tmp_path, spoilt(PARTS, "\nparts:\n", f"\n{claim}"))
    assert message == "12:10: two parts have a claim 'b' (in part memory); remove it from one of them"


def test_a_setting_of_an_unknown_part(tmp_path: Path) -> None:
    message = refusal(tmp_path, PARTS, "parts.sped.design.rounds=7")
    assert message.startswith("--set parts.sped.design.rounds=7: there is no part 'sped'")


def test_an_arm_whose_levels_do_not_go_together_is_named(tmp_path: Path) -> None:
    text = spoilt(
        STUDY, "  cache: [none, dynamic, static]", "  new_tokens: [8, 32]\n  prompts.tokens: [8, 40]"
    )
    text = spoilt(text, "across:\n  new_tokens: [8, 16, 32]\n", "")
    text = text[: text.index("invariants:")] + "parity: {differ: [new_tokens, prompt_tokens, prompts]}\n"
    crossed = spoilt(text, "seeds: 1", "arms: factorial")
    assert refusal(tmp_path, crossed) == (
        "11:23: prompts.tokens 40 + new_tokens 32 is more than the model's max_positions 64 "
        "(in arm new_tokens=32, prompts.tokens=40); `design.exclude` can leave this arm out"
    )
    remaining = spoilt(crossed, "rounds: 10", "rounds: 10, exclude: [{new_tokens: 32, prompts.tokens: 40}]")
    (study,) = load_study(put(tmp_path, remaining, recipe=RECIPE))
    assert [arm.name for arm in study.arms] == [
        "new_tokens=8, prompts.tokens=8",
        "new_tokens=8, prompts.tokens=40",
        "new_tokens=32, prompts.tokens=8",
    ]


def test_paired_factors_need_equally_many_levels(tmp_path: Path) -> None:
    text = spoilt(
        STUDY, "  cache: [none, dynamic, static]", "  cache: [none, dynamic, static]\n  units: [3, 5]"
    )
    message = refusal(tmp_path, spoilt(text, "seeds: 1", "arms: paired"))
    assert message == "11:3: paired factors need the same number of levels, but cache has 3 and units has 2"
