"""Bad input: one line that says where, what and what to do.

The expected text is what a person reads; change it with care.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import StudyError
from harness.study.load import StudyFile, load_study
from harness.study.reading.yaml_document import MAX_BYTES
from tests.support.tiny_study import FILE, RECIPE, STUDY, put, spoilt

Spoilt = tuple[str, str, str, str]

# What is wrong, the text that is replaced, what it is replaced with, and the message after the file's name.
IN_STUDY: tuple[Spoilt, ...] = (
    (
        "a misspelt key",
        "primary:",
        "primry:",
        "14:1: unknown key 'primry'; did you mean 'primary' or 'parity'?",
    ),
    (
        "an unknown key in a section",
        "rounds: 10}",
        "rounds: 10, sed: 3}",
        "13:32: unknown key 'sed' in design; did you mean 'seeds'?",
    ),
    (
        "a key like none",
        "primary:",
        "colour: red\nprimary:",
        (
            "14:1: unknown key 'colour'; known: across, base, claims, compare, design, invariants, margins, "
            "parity, primary, question, references, study, task, when"
        ),
    ),
    (
        "a duplicate key",
        "task: generate\n",
        "task: generate\ntask: train\n",
        "4:1: duplicate key 'task'; it is already on line 3",
    ),
    ("a missing key", "primary: decode_tokens_per_second\n", "", "1:1: missing key 'primary'"),
    ("a missing nested key", ", count: 2", "", "6:3: missing key 'count' in prompts"),
    (
        "text for an integer",
        "rounds: 10",
        "rounds: abc",
        "13:28: design.rounds: expected an integer, found 'abc'",
    ),
    (
        "a fraction for an integer",
        "rounds: 10",
        "rounds: 10.5",
        "13:28: design.rounds: expected an integer, found 10.5",
    ),
    (
        "a truth for an integer",
        "rounds: 10",
        "rounds: true",
        "13:28: design.rounds: expected an integer, found true",
    ),
    (
        "text for a truth",
        "rounds: 10}",
        "rounds: 10, exploratory: maybe}",
        "13:45: design.exploratory: expected true or false, found 'maybe'",
    ),
    (
        "no is text in YAML 1.2",
        "rounds: 10}",
        "rounds: 10, exploratory: no}",
        "13:45: design.exploratory: expected true or false, found 'no'",
    ),
    ("a number for text", "task: generate", "task: 3", "3:7: task: expected text, found 3"),
    (
        "a list for text",
        "question: Does",
        "question: [Does",
        "3:5: not valid YAML: expected ',' or ']', but got ':'",
    ),
    (
        "a scalar for a mapping",
        "design: {seeds: 1, rounds: 10}",
        "design: 3",
        "13:9: design: expected a mapping, found 3",
    ),
    (
        "nothing for a mapping",
        "design: {seeds: 1, rounds: 10}",
        "design:",
        "13:1: design: expected a mapping, found null",
    ),
    (
        "too small a number",
        "rounds: 10",
        "rounds: 0",
        "13:28: design.rounds: must be greater than 0, found 0",
    ),
    (
        "too large a number",
        "rounds: 10",
        "rounds: 100000",
        "13:28: design.rounds: must be at most 10000, found 100000",
    ),
    (
        "an empty text",
        "question: Does a cache make generation faster?",
        'question: ""',
        "2:11: question: must not be empty",
    ),
    (
        "a name that is no name",
        "study: tiny",
        "study: Tiny Study",
        (
            "1:8: study: 'Tiny Study' is not a valid name; use lowercase letters, digits and "
            "underscores, and begin with a letter"
        ),
    ),
    (
        "an alias",
        "new_tokens: 8\n",
        "new_tokens: &n 8\n  units: *n\n",
        "8:10: the alias *n is not allowed; write the value out",
    ),
    (
        "a merge key",
        "  new_tokens: 8\n",
        "  <<: {units: 2}\n  new_tokens: 8\n",
        "7:3: the merge key << is not allowed; write the values out",
    ),
    (
        "a tag",
        "task: generate",
        "task: !!python/name:os.system generate",
        "3:7: the tag !!python/name:os.system is not allowed; use plain values only",
    ),
    (
        "a tag of a mapping",
        "base:\n",
        "base: !plain\n",
        "4:7: the tag !plain is not allowed; use plain values only",
    ),
    (
        "a tag of YAML itself",
        "task: generate",
        "task: !!str generate",
        "3:7: the tag !!str is not allowed; use plain values only",
    ),
    (
        "a second document",
        "scales:\n",
        "---\nscales:\n",
        "26:1: a second YAML document starts here; a file must hold one study",
    ),
    (
        "a number as a key",
        "  new_tokens: 8\n",
        "  1: 2\n  new_tokens: 8\n",
        "7:3: YAML reads the key 1 as an integer; put it in quotes",
    ),
    (
        "a truth as a key",
        "  new_tokens: 8\n",
        "  true: 2\n  new_tokens: 8\n",
        "7:3: YAML reads the key true as true or false; put it in quotes",
    ),
    (
        "null as a key",
        "  new_tokens: 8\n",
        "  null: 2\n  new_tokens: 8\n",
        "7:3: YAML reads the key null as null; put it in quotes",
    ),
    (
        "a list as a key",
        "  new_tokens: 8\n",
        "  ? [a, b]\n  : 2\n  new_tokens: 8\n",
        "7:5: a key must be text, and not empty",
    ),
    (
        "an empty key",
        "  new_tokens: 8\n",
        '  "": 2\n  new_tokens: 8\n',
        "7:3: a key must be text, and not empty",
    ),
    ("NaN", "ratio: 2.0", "ratio: .nan", "23:12: .nan is not allowed; use a finite number"),
    ("minus infinity", "ratio: 2.0", "ratio: -.inf", "23:12: -.inf is not allowed; use a finite number"),
    (
        "a number beyond floats",
        "ratio: 2.0",
        "ratio: 1e999",
        "23:12: 1e999 is not allowed; use a finite number",
    ),
    ("a date", "count: 2", "count: 2020-01-01", "6:54: YAML reads '2020-01-01' as a date; put it in quotes"),
    (
        "half a character",
        "task: generate",
        'task: "\\uD800"',
        "3:7: the text has half of a surrogate pair, which is not a character",
    ),
    (
        "a tab",
        "  new_tokens: 8\n",
        "\tnew_tokens: 8\n",
        "7:1: not valid YAML: found character '\\t' that cannot start any token",
    ),
    (
        "a colon in plain text",
        "It is twice",
        "It is: twice",
        "20:16: not valid YAML: mapping values are not allowed here",
    ),
    (
        "a bracket left open",
        "tokens: 8}",
        "tokens: 8",
        "7:13: not valid YAML: expected ',' or '}', but got ':'",
    ),
    (
        "a null character",
        "task: generate",
        "task: gen\0erate",
        "3:10: not valid YAML: the character U+0000 is not allowed",
    ),
    (
        "an unknown task",
        "task: generate",
        "task: generat",
        "3:7: unknown task 'generat'; did you mean 'generate'?",
    ),
    (
        "an unknown metric",
        "primary: decode_tokens_per_second",
        "primary: decode_token_per_second",
        (
            "14:10: task 'generate' does not produce the metric 'decode_token_per_second'; did you mean "
            "'decode_tokens_per_second' or 'tokens_per_second'?"
        ),
    ),
    (
        "a metric of another task",
        "primary: decode_tokens_per_second",
        "primary: validation_loss",
        (
            "14:10: task 'generate' does not produce the metric 'validation_loss'; known: cache_bytes, "
            "cache_bytes_formula, decode_tokens_per_second, first_token_seconds, peak_rss_bytes, "
            "peak_tensor_bytes, prefill_tokens_per_second, tokens_per_second"
        ),
    ),
    (
        "an unknown invariant",
        "[cache-parity,",
        "[cache-party,",
        "15:14: unknown invariant 'cache-party'; did you mean 'cache-parity' or 'cache-bytes'?",
    ),
    (
        "an invariant twice",
        "[cache-parity, cache-bytes]",
        "[cache-bytes, cache-bytes]",
        "15:27: invariant 'cache-bytes' is listed twice",
    ),
    (
        "an unknown margin",
        "primary:",
        "margins: {tim: 0.05}\nprimary:",
        ("14:11: no metric and no group of metrics has the name 'tim'; did you mean 'time'?"),
    ),
    (
        "a margin in per cent",
        "primary:",
        "margins: {time: 5}\nprimary:",
        "14:17: margins.time: must be less than 1, found 5; 5 % is 0.05",
    ),
    (
        "an unknown corpus",
        "corpus: python-docs",
        "corpus: python-doc",
        "6:21: prompts.corpus: unknown corpus 'python-doc'; did you mean 'python-docs'?",
    ),
    (
        "an unknown kind of corpus",
        "corpus: python-docs",
        "corpus: {kind: file, files: [a.txt]}",
        "6:21: prompts.corpus: a corpus is a name or a mapping with kind named, files, hf or vectors",
    ),
    (
        "a misspelt key of a corpus",
        "corpus: python-docs",
        "corpus: {kind: files, fils: [a.txt]}",
        "6:35: unknown key 'fils' in prompts.corpus; did you mean 'files' or 'file'?",
    ),
    (
        "an unknown recipe",
        "recipe: small",
        "recipe: smal",
        "5:19: there is no recipe 'smal' in studies/recipes; did you mean 'small'?",
    ),
    (
        "a number for a recipe",
        "recipe: small",
        "recipe: 5",
        "5:19: model.recipe: expected text, found 5; and 1 more problem",
    ),
    (
        "a scalar over a recipe",
        "recipe: small",
        "recipe: small, train: 5",
        "5:33: model.train: expected a mapping, found 5",
    ),
    (
        "a wrong override of a recipe",
        "recipe: small",
        "recipe: small, train: {updates: many}",
        "5:43: model.train.updates: expected an integer, found 'many'",
    ),
    (
        "a misspelt override of a recipe",
        "recipe: small",
        "recipe: small, train: {model: {n_head: 2}}",
        "5:42: unknown key 'n_head' in model.train.model; did you mean 'n_heads'?",
    ),
    (
        "wrong type of a setting",
        "count: 2",
        "count: two",
        "6:54: prompts.count: expected an integer, found 'two'",
    ),
    (
        "a setting that does not fit",
        "tokens: 8}",
        "tokens: 60}",
        "5:3: prompts.tokens 60 + new_tokens 8 is more than the model's max_positions 64",
    ),
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
        "10:30: compare.cache.2.a: expected a mapping, found 5",
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
        "an unknown key of a claim",
        "ratio: 2.0",
        "ratio: 2.0\n    whithin: 2",
        "24:5: unknown key 'whithin' in claims.fast; did you mean 'within'?",
    ),
    (
        "a misspelt form of a claim",
        "ratio: 2.0",
        "ratoi: 2.0",
        "23:5: unknown key 'ratoi' in claims.fast; did you mean 'ratio'?",
    ),
    (
        "two forms of a claim",
        "ratio: 2.0",
        "ratio: 2.0\n    holds: cache-parity",
        (
            "19:5: claims.fast: a claim states exactly one of: at_least, at_most, direction, diverges, "
            "exponent, "
            "formula, holds, most_sensitive, no_difference, ratio, reaches, trend, value; found holds "
            "and ratio"
        ),
    ),
    (
        "text for a ratio",
        "ratio: 2.0",
        "ratio: fast",
        "23:12: claims.fast.ratio: expected a number, found 'fast'",
    ),
    (
        "a claim on an unknown metric",
        "metric: cache_bytes,",
        "metric: cache_byte,",
        (
            "25:66: task 'generate' does not produce the metric 'cache_byte'; did you mean 'cache_bytes' or "
            "'cache_bytes_formula'?"
        ),
    ),
    (
        "a claim on what is not measured",
        "ratio: 2.0",
        "ratio: 2.0\n    metric: loss",
        (
            "24:13: task 'generate' does not produce the metric 'loss'; known: cache_bytes, "
            "cache_bytes_formula, "
            "decode_tokens_per_second, first_token_seconds, peak_rss_bytes, peak_tensor_bytes, "
            "prefill_tokens_per_second, tokens_per_second"
        ),
    ),
    (
        "a formula of itself",
        "formula: cache_bytes_formula",
        "formula: cache_bytes",
        "25:88: bytes compares cache_bytes with itself",
    ),
    (
        "a claim on an unknown invariant",
        "holds: cache-parity",
        "holds: cache-party",
        (
            "17:55: the study's `invariants` do not include 'cache-party'; did you mean 'cache-parity' or "
            "'cache-bytes'?"
        ),
    ),
    (
        "a claim on an unknown level",
        "    level: {cache: dynamic}",
        "    level: {cache: dynamik}",
        "21:20: cache has no level 'dynamik'; did you mean 'dynamic'?",
    ),
    (
        "a claim on an unknown factor",
        "    level: {cache: dynamic}",
        "    level: {cash: dynamic}",
        "21:13: `compare` has no factor 'cash'; did you mean 'cache'?",
    ),
    (
        "a claim on the baseline",
        "    level: {cache: dynamic}",
        "    level: {cache: none}",
        "21:5: fast compares cache=none with itself, because it is the baseline",
    ),
    (
        "a claim at an unknown condition",
        "at: {new_tokens: 32}",
        "at: {new_tokens: 33}",
        "22:22: new_tokens has no level '33'; known: 16, 32, 8",
    ),
    (
        "a claim at no condition",
        "    at: {new_tokens: 32}\n",
        "",
        (
            "18:3: fast does not say for which new_tokens it holds; add `at: {new_tokens: …}` with one "
            "of 8, 16, 32"
        ),
    ),
    (
        "a trend over an unknown factor",
        "over: new_tokens",
        "over: new_token",
        "24:98: `across` has no factor 'new_token'; did you mean 'new_tokens'?",
    ),
    (
        "a trend that is neither",
        "trend: increasing",
        "trend: rising",
        (
            "24:80: claims.grows.trend: 'rising' is not an allowed value; did you mean 'increasing' or "
            "'decreasing'?"
        ),
    ),
    (
        "a trend over two levels",
        "[8, 16, 32]",
        "[8, 32]",
        "24:98: a trend over new_tokens needs at least 3 levels, but there are 2",
    ),
    (
        "a trend over names",
        "[8, 16, 32]",
        "[8, 16, 32, long: {new_tokens: 40}]",
        "24:98: a trend over new_tokens needs levels that are positive numbers; 'long' is not one",
    ),
    (
        "too few rounds for a claim",
        "rounds: 10",
        "rounds: 5",
        (
            "13:28: 5 rounds are too few to decide fast; use at least 6, or set `exploratory: true` to see "
            "effects without verdicts"
        ),
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
        "scales that are none",
        "scales:\n  smoke:\n    design: {rounds: 2, exploratory: true}\n    across: {new_tokens: [8, 32]}\n",
        "scales: 3\n",
        "26:9: scales: expected a mapping of names to settings, found 3",
    ),
    (
        "a scale that is none",
        "  smoke:\n    design: {rounds: 2, exploratory: true}\n    across: {new_tokens: [8, 32]}\n",
        "  smoke: 3\n",
        "27:10: scales.smoke: expected a mapping, found 3",
    ),
    (
        "a misspelt key of a scale",
        "    design: {rounds: 2",
        "    desing: {rounds: 2",
        "28:5: unknown key 'desing' (at scale smoke); did you mean 'design'?",
    ),
    (
        "a misspelt key in a scale",
        "exploratory: true",
        "exploratry: true",
        "28:25: unknown key 'exploratry' in design (at scale smoke); did you mean 'exploratory'?",
    ),
    (
        "a scale that renames the study",
        "    across: {new_tokens: [8, 32]}",
        "    study: other",
        "29:5: a scale cannot change the name of its study",
    ),
    (
        "a claim that a scale invents",
        "    across: {new_tokens: [8, 32]}",
        "    claims: {fst: {ratio: 3.0}}",
        "29:14: missing key 'source' in claims.fst (at scale smoke); and 1 more problem",
    ),
    (
        "work that both matches and differs",
        "primary:",
        "parity: {match: [updates], differ: [updates]}\nprimary:",
        "14:18: parity: updates cannot be under both `match` and `differ`",
    ),
    (
        "a slash in a name",
        "study: tiny",
        "study: tiny/cost",
        (
            "1:8: study: 'tiny/cost' is not a valid name; use lowercase letters, digits and underscores, and "
            "begin with a letter"
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
    (
        "parts of a scale of a study without them",
        "    across: {new_tokens: [8, 32]}",
        "    parts: {cost: {}}",
        "29:5: the study has no parts, so a scale cannot have parts",
    ),
)
IN_RECIPE: tuple[Spoilt, ...] = (
    (
        "a misspelt key",
        "updates:",
        "update:",
        "6:1: unknown key 'update' in model.train; did you mean 'updates'?",
    ),
    ("a missing key", "batch: 4\n", "", "1:1: missing key 'batch' in model.train"),
    (
        "a duplicate key",
        "length: 32\n",
        "length: 32\nlength: 32\n",
        "6:1: duplicate key 'length'; it is already on line 5",
    ),
    (
        "text for an integer",
        "n_heads: 2",
        "n_heads: many",
        "3:44: model.train.model.n_heads: expected an integer, found 'many'",
    ),
    (
        "sizes that do not fit",
        "n_heads: 2",
        "n_heads: 3",
        "3:8: model.train.model: d_model 16 is not a multiple of n_heads 3",
    ),
    (
        "a misspelt size",
        "n_heads: 2",
        "n_head: 2",
        "3:35: unknown key 'n_head' in model.train.model; did you mean 'n_heads'?",
    ),
    (
        "an unknown preset",
        "{d_model: 16, n_layers: 1, n_heads: 2, d_ff: 32, max_positions: 64}",
        "{preset: nanno}",
        "1:1: model.train: model has no preset 'nanno'; did you mean 'nano'?",
    ),
    ("text for a rate", "1e-3", "fast", "7:30: model.train.optimizer.lr: expected a number, found 'fast'"),
    (
        "an unknown optimizer",
        "kind: adamw",
        "kind: adamx",
        "7:19: model.train.optimizer.kind: 'adamx' is not an allowed value; did you mean 'adam' or 'radam'?",
    ),
    (
        "a warm-up that is too long",
        "warmup: 1",
        "warmup: 100",
        "1:1: model.train: schedule.warmup 100 is longer than the run of 4 updates",
    ),
    (
        "an unknown corpus",
        "python-docs",
        "python-doc",
        "1:9: model.train.corpus: unknown corpus 'python-doc'; did you mean 'python-docs'?",
    ),
    ("no mapping", RECIPE, "5\n", "1:1: expected a mapping of keys to values"),
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(path: Path = FILE, scale: str = "cpu") -> str:
    with pytest.raises(StudyError) as caught:
        load_study(path, scale)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_study_that_is_spoilt_below_is_sound() -> None:
    put(Path())
    assert load_study(FILE)[0].study.study == "tiny"
    assert StudyFile(FILE).scales == ("cpu", "smoke")


@pytest.mark.parametrize(("what", "old", "new", "message"), IN_STUDY, ids=[case[0] for case in IN_STUDY])
def test_a_spoilt_study_is_one_line(what: str, old: str, new: str, message: str) -> None:
    put(Path(), spoilt(STUDY, old, new))
    message_shown = refusal()
    assert message_shown == (message if message.startswith("studies/") else f"studies/tiny.yaml:{message}")


@pytest.mark.parametrize(("what", "old", "new", "message"), IN_RECIPE, ids=[case[0] for case in IN_RECIPE])
def test_a_spoilt_recipe_is_named_with_its_own_line(what: str, old: str, new: str, message: str) -> None:
    put(Path(), recipe=spoilt(RECIPE, old, new))
    assert refusal() == f"studies/recipes/small.yaml:{message}"


def test_an_unknown_scale() -> None:
    put(Path())
    assert (
        refusal(scale="smok")
        == "studies/tiny.yaml:26:1: there is no scale 'smok' in this study; did you mean 'smoke'?"
    )


def test_a_scale_that_is_not_asked_for_is_checked_too() -> None:
    put(Path(), spoilt(STUDY, "across: {new_tokens: [8, 32]}", "across: {new_tokens: [8, 48]}"))
    assert (
        refusal(scale="cpu")
        == "studies/tiny.yaml:22:22: new_tokens has no level '32' (at scale smoke); known: 48, 8"
    )


def test_scales_that_are_empty_are_pointed_at_by_their_key() -> None:
    put(Path(), STUDY[: STUDY.index("  smoke:")])
    assert refusal() == "studies/tiny.yaml:26:1: scales: expected a mapping of names to settings, found null"


def test_a_level_may_name_a_recipe_which_is_then_used(tmp_path: Path) -> None:
    text = spoilt(STUDY, "  cache: [none, dynamic, static]", "  model.recipe: [small, wide]")
    text = text[: text.index("claims:")] + "design: {rounds: 10}\n"
    file = put(tmp_path, spoilt(text, "design: {seeds: 1, rounds: 10}\n", ""))
    (file.parent / "recipes" / "wide.yaml").write_text(spoilt(RECIPE, "d_model: 16", "d_model: 32"))
    (loaded,) = load_study(file)
    widths = [
        loaded.tasks[arm.name, "new_tokens=8"].plain()["model"]["train"]["model"]["d_model"]
        for arm in loaded.arms
    ]
    assert widths == [16, 32]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "1:1: the file is empty"),
        (b"  \n# nothing\n", "1:1: the file is empty"),
        (b"- a\n- b\n", "1:1: expected a mapping of keys to values"),
        (b"just words\n", "1:1: expected a mapping of keys to values"),
        (b"study: tiny\nsays: caf\xe9\n", "2:10: the file is not UTF-8; save it in this encoding"),
        (STUDY.encode("utf-16"), "1:1: the file is not UTF-8; save it in this encoding"),
        (b"study: " + b"[" * 30_000, "1:27: nested deeper than 20 levels"),
        (b"study: " + b"{a: " * 30_000, "1:84: nested deeper than 20 levels"),
        (b"\n".join(b" " * n + b"a:" for n in range(60)), "21:21: nested deeper than 20 levels"),
    ],
    ids=[
        "empty",
        "comments",
        "list",
        "words",
        "latin-1",
        "utf-16",
        "deep lists",
        "deep mappings",
        "deep blocks",
    ],
)
def test_what_is_no_study_at_all(text: bytes, message: str) -> None:
    put(Path(), text)
    assert refusal() == f"studies/tiny.yaml:{message}"


def test_files_that_are_too_large_are_not_parsed() -> None:
    put(Path(), b"#" * (MAX_BYTES + 1))
    assert refusal() == "studies/tiny.yaml: the file is larger than 200,000 bytes; is it a study?"
    put(Path(), STUDY.encode() + b"#" * (MAX_BYTES - len(STUDY.encode())))
    assert load_study(FILE)[0].study.study == "tiny"


def test_a_directory_and_a_file_that_is_not_there() -> None:
    Path("studies").mkdir()
    assert refusal(Path("studies")) == "studies: the file cannot be read: Is a directory"
    assert refusal(FILE) == "studies/tiny.yaml: the file cannot be read: No such file or directory"


def test_a_byte_order_mark_and_windows_line_ends_are_no_errors() -> None:
    put(Path(), b"\xef\xbb\xbf" + STUDY.replace("\n", "\r\n").encode())
    assert load_study(FILE)[0].study.study == "tiny"
