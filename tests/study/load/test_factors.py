"""Factors, conditions and designs that cannot be."""

from __future__ import annotations

from tests.study.load.refusals import Spoilt, cases, refusal_of_spoilt

REFUSED: tuple[Spoilt, ...] = (
    (
        "an unknown factor",
        "  cache: [none, dynamic, static]",
        "  cach: [none, dynamic, static]",
        "10:3: unknown key 'cach'; did you mean 'cache'?",
    ),
    (
        "an unknown level",
        "dynamic, static]",
        "dynamic, statik]",
        "10:26: cache: 'statik' is not an allowed value; did you mean 'static'?",
    ),
    ("a level twice", "dynamic, static]", "dynamic, none]", "10:26: level 'none' of cache is listed twice"),
    (
        "a level that changes nothing",
        "dynamic, static]",
        "dynamic, plain: {cache: none}]",
        "10:26: level 'plain' of cache gives the same settings as the baseline",
    ),
    (
        "a level that changes nothing against another",
        "dynamic, static]",
        "dynamic, other: {cache: dynamic}]",
        "10:26: level 'other' of cache gives the same settings as cache=dynamic",
    ),
    (
        "a condition that changes nothing",
        "[8, 16, 32]",
        "[8, 16, 32, long: {new_tokens: 32}]",
        "12:27: level 'long' of new_tokens gives the same settings as new_tokens=32",
    ),
    (
        "a list as a level",
        "dynamic, static]",
        "dynamic, [static]]",
        (
            "10:26: compare.cache.2: expected true or false, an integer, a number, text or a mapping, "
            "found a list"
        ),
    ),
    (
        "a level of two names",
        "dynamic, static]",
        "dynamic, {a: {cache: static}, b: {}}]",
        "10:26: a level must be a single value, or one name with its settings",
    ),
    (
        "a level with settings that are none",
        "dynamic, static]",
        "dynamic, {a: 5}]",
        "10:26: compare.cache.2: a level that is a mapping needs a name; write `NAME: {cache: {a: 5}}`",
    ),
    (
        "an unknown setting of a level",
        "dynamic, static]",
        "dynamic, big: {cach: static}]",
        "10:32: unknown key 'cach'; did you mean 'cache'?",
    ),
    (
        "an unknown nested setting of a level",
        "dynamic, static]",
        "dynamic, big: {prompts.cont: 3}]",
        "10:32: unknown key 'cont' in prompts; did you mean 'count'?",
    ),
    (
        "an unknown setting on the way",
        "dynamic, static]",
        "dynamic, big: {promts.count: 3}]",
        "10:32: unknown key 'promts'; did you mean 'prompts'?",
    ),
    (
        "a single level",
        "[none, dynamic, static]",
        "[none]",
        "10:10: compare.cache: needs at least 2 items, but has 1",
    ),
    (
        "a path through a scalar",
        "dynamic, static]",
        "dynamic, big: {cache.kind: static}]",
        "10:32: cache.kind cannot be set: part of this path is not a mapping",
    ),
    (
        "a factor compared and varied",
        "  new_tokens: [8, 16, 32]",
        "  cache: [none]",
        "12:3: factor 'cache' is under both `compare` and `across`; remove it from one of them",
    ),
    (
        "too few rounds for the table",
        "rounds: 10",
        "rounds: 6",
        (
            "13:28: 6 rounds are too few to decide 5 comparisons of decode_tokens_per_second; use at "
            "least 8, or set `exploratory: true` to see effects without verdicts"
        ),
    ),
    (
        "an unknown kind of design",
        "seeds: 1,",
        "arms: full,",
        (
            "13:16: design.arms: 'full' is not an allowed value; known: factorial, leave-one-out, "
            "one-factor, paired"
        ),
    ),
    (
        "a condition on an unknown factor",
        "across:\n",
        "when: {cach: {units: 3}}\nacross:\n",
        "11:8: when: there is no factor 'cach'; did you mean 'cache'?",
    ),
    (
        "a condition on an unknown level",
        "across:\n",
        "when: {cache=statik: {units: 3}}\nacross:\n",
        "11:8: when: cache has no level 'statik'; did you mean 'static'?",
    ),
    (
        "a condition by itself",
        "across:\n",
        "when: {cache: {cache: none}}\nacross:\n",
        "11:16: `compare` has no other factor 'cache'",
    ),
    (
        "a condition over sections",
        "across:\n",
        "when: {cache: {new_tokens: 8}}\nacross:\n",
        "11:16: `compare` has no other factor 'new_tokens'",
    ),
    (
        "a condition by a list of nothing",
        "  cache: [none, dynamic, static]\n",
        "  cache: [none, dynamic, static]\n  units: [3, 5]\nwhen: {units: {cache: []}}\n",
        "12:16: no level of cache is listed; list at least one",
    ),
    (
        "a condition by an unknown level",
        "  cache: [none, dynamic, static]\n",
        "  cache: [none, dynamic, static]\n  units: [3, 5]\nwhen: {units: {cache: [dynamic, statik]}}\n",
        "12:16: cache has no level 'statik'; did you mean 'static'?",
    ),
    (
        "factors that need each other",
        "  cache: [none, dynamic, static]\n",
        (
            "  cache: [none, dynamic, static]\n  units: [3, 5]\nwhen: {units: {cache: none}, cache: {units: "
            "3}}\n"
        ),
        "12:1: factors depend on each other in a circle: 'cache' → 'units' → 'cache'",
    ),
    (
        "a level that is never run",
        "  cache: [none, dynamic, static]\n",
        (
            "  cache: [none, dynamic, static]\n  units: [3, 5]\nwhen: {units: {cache: dynamic}, units=5: "
            "{cache: none}}\n"
        ),
        "11:14: no arm has level '5' of units; check `when` and `design.exclude`",
    ),
    (
        "leave-one-out of three levels",
        "seeds: 1,",
        "arms: leave-one-out,",
        "10:3: leave-one-out needs two levels, off and on, but cache has 3",
    ),
    (
        "an exclusion of nothing",
        "seeds: 1,",
        "exclude: [{cache: dynamik}],",
        "13:21: cache has no level 'dynamik'; did you mean 'dynamic'?",
    ),
    (
        "an exclusion of the baseline",
        "seeds: 1,",
        "exclude: [{cache: none}],",
        "13:20: the baseline cache=none cannot be excluded",
    ),
    (
        "an exclusion of a level",
        "seeds: 1,",
        "exclude: [{cache: static}],",
        "10:26: no arm has level 'static' of cache; check `when` and `design.exclude`",
    ),
    (
        "an empty exclusion",
        "seeds: 1,",
        "exclude: [{}],",
        "13:20: design.exclude.0: needs at least 1 item, but has 0",
    ),
)


@cases(REFUSED)
def test_factors_and_designs_that_are_wrong(old: str, new: str, message: str) -> None:
    assert refusal_of_spoilt(old, new) == message
