"""A search that could not work is refused by one line that says where, what and what to do. One line of the
tiny study with a search is spoilt.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.study.load import StudyFile
from tests.study.load.refusals import Spoilt, cases, refusal
from tests.support.searched_study import POINTS, RANGES, RATE, SEARCHED, TPE, WARMUP
from tests.support.tiny_study import FILE, patched, put, spoilt

SPACE: tuple[Spoilt, ...] = (
    (
        "an empty range",
        RATE,
        "optimizer.lr: {low: 1e-1, high: 1e-5, log: true}",
        (
            "21:19: search.space.optimizer.lr: the range from 0.1 to 1e-05 is empty; `low` must be less than "
            "`high`"
        ),
    ),
    (
        "a range whose ends are equal",
        RATE,
        "optimizer.lr: {low: 1e-3, high: 1e-3}",
        (
            "21:19: search.space.optimizer.lr: the range from 0.001 to 0.001 is empty; `low` must be less "
            "than `high`"
        ),
    ),
    (
        "a logarithm of zero",
        RATE,
        "optimizer.lr: {low: 0.0, high: 1e-1, log: true}",
        (
            "21:19: search.space.optimizer.lr: a range with `log` must be above zero, but `low` is 0.0; use "
            "a small positive number"
        ),
    ),
    (
        "a logarithm below zero",
        RATE,
        "optimizer.lr: {low: -1.0, high: 1e-1, log: true}",
        (
            "21:19: search.space.optimizer.lr: a range with `log` must be above zero, but `low` is -1.0; use "
            "a small positive number"
        ),
    ),
    (
        "a step that does not divide the range",
        RATE,
        "optimizer.lr: {low: 0.1, high: 1.0, step: 0.4}",
        (
            "21:19: search.space.optimizer.lr: steps of 0.4 from 0.1 do not end at 1.0; use `high: 0.9`, or "
            "another step"
        ),
    ),
    (
        "a step that is larger than the range",
        RATE,
        "optimizer.lr: {low: 0.1, high: 1.0, step: 4.0}",
        (
            "21:19: search.space.optimizer.lr: steps of 4.0 from 0.1 do not end at 1.0; use `high: 4.1`, or "
            "another step"
        ),
    ),
    (
        "a step of zero",
        RATE,
        "optimizer.lr: {low: 0.1, high: 1.0, step: 0.0}",
        "21:19: search.space.optimizer.lr: `step` must be greater than 0, found 0.0",
    ),
    (
        "a step with a logarithm",
        RATE,
        "optimizer.lr: {low: 0.1, high: 1.0, step: 0.1, log: true}",
        "21:19: search.space.optimizer.lr: a range has either `log` or `step`; leave one of them out",
    ),
    (
        "an end that is not a number",
        RATE,
        "optimizer.lr: {low: .nan, high: 1.0}",
        "21:25: .nan is not allowed; use a finite number",
    ),
    (
        "an end without end",
        RATE,
        "optimizer.lr: {low: 0.1, high: .inf}",
        "21:36: .inf is not allowed; use a finite number",
    ),
    (
        "an end that is too large",
        RATE,
        "optimizer.lr: {low: 0.1, high: 1e400}",
        "21:36: 1e400 is not allowed; use a finite number",
    ),
    (
        "an end that is true or false",
        RATE,
        "optimizer.lr: {low: false, high: true}",
        (
            "21:25: search.space.optimizer.lr.low: expected an integer or a number, found false; and 1 more "
            "problem"
        ),
    ),
    (
        "an end in words",
        RATE,
        "optimizer.lr: {low: small, high: 1.0}",
        "21:25: search.space.optimizer.lr.low: expected an integer or a number, found 'small'",
    ),
    (
        "a range without an end",
        RATE,
        "optimizer.lr: {low: 1e-5}",
        "21:19: search.space.optimizer.lr: a parameter needs either `low` and `high`, or `choices`",
    ),
    (
        "a parameter without values",
        RATE,
        "optimizer.lr: {}",
        "21:19: search.space.optimizer.lr: a parameter needs either `low` and `high`, or `choices`",
    ),
    (
        "a value for a parameter",
        RATE,
        "optimizer.lr: 3",
        "21:19: search.space.optimizer.lr: expected a mapping, found 3",
    ),
    (
        "a misspelt key",
        RATE,
        "optimizer.lr: {low: 1e-5, hihg: 1e-1}",
        "21:31: unknown key 'hihg' in search.space.optimizer.lr; did you mean 'high'?",
    ),
    (
        "a single choice",
        RATE,
        "optimizer.lr: {choices: [1e-3]}",
        "21:19: search.space.optimizer.lr: `choices` needs at least two values",
    ),
    (
        "a choice twice",
        RATE,
        "optimizer.lr: {choices: [1e-3, 1e-2, 1e-3]}",
        "21:19: search.space.optimizer.lr: the choice 0.001 is listed twice",
    ),
    (
        "choices with an end",
        RATE,
        "optimizer.lr: {low: 1e-5, choices: [1e-3, 1e-2]}",
        (
            "21:19: search.space.optimizer.lr: a parameter with `choices` has no `low`, `high`, `step` or "
            "`log`"
        ),
    ),
    (
        "a choice of two names",
        RATE,
        (
            "optimizer: {choices: [{a: {optimizer.lr: 1e-2}, b: {optimizer.lr: 1e-3}}, c: {optimizer.lr: "
            "1e-4}]}"
        ),
        "21:16: search.space.optimizer: a choice must be a single value, or one name with its settings",
    ),
    (
        "no parameters",
        (
            "  space:\n    optimizer.lr: {low: 1e-5, high: 1e-1, log: true}\n    schedule.warmup: {low: 0, "
            "high: 3}\n"
        ),
        "  space: {}\n",
        "20:10: search.space: needs at least 1 item, but has 0",
    ),
    (
        "no space",
        (
            "  space:\n    optimizer.lr: {low: 1e-5, high: 1e-1, log: true}\n    schedule.warmup: {low: 0, "
            "high: 3}\n"
        ),
        "",
        "19:1: missing key 'space' in search",
    ),
    (
        "a condition on an unknown parameter",
        WARMUP,
        "schedule.warmup: {low: 0, high: 3, when: {optimizer.knd: sgd}}",
        "22:47: the space has no parameter 'optimizer.knd'; did you mean 'optimizer.lr'?",
    ),
    (
        "a condition on a range",
        WARMUP,
        "schedule.warmup: {low: 0, high: 3, when: {optimizer.lr: 1e-3}}",
        "22:47: optimizer.lr is a range, so schedule.warmup cannot depend on one of its values",
    ),
    (
        "a condition on itself",
        WARMUP,
        "schedule.warmup: {low: 0, high: 3, when: {schedule.warmup: 2}}",
        "22:47: the space has no parameter 'schedule.warmup'; known: optimizer.lr",
    ),
    (
        "a condition on an unknown choice",
        WARMUP,
        (
            "optimizer.kind: {choices: [adamw, sgd]}\n    schedule.warmup: {low: 0, high: 3, when: "
            "{optimizer.kind: sgdd}}"
        ),
        "23:63: optimizer.kind has no choice 'sgdd'; did you mean 'sgd'?",
    ),
    (
        "a condition on no choice",
        WARMUP,
        (
            "optimizer.kind: {choices: [adamw, sgd]}\n    schedule.warmup: {low: 0, high: 3, when: "
            "{optimizer.kind: []}}"
        ),
        "23:47: no choice of optimizer.kind is listed; list at least one",
    ),
    (
        "a circle",
        WARMUP,
        (
            "optimizer.kind: {choices: [adamw, sgd], when: {schedule.kind: cosine}}\n    schedule.kind: "
            "{choices: [cosine, linear], when: {optimizer.kind: sgd}}"
        ),
        (
            "20:3: parameters depend on each other in a circle: 'optimizer.kind' → 'schedule.kind' → "
            "'optimizer.kind'"
        ),
    ),
    (
        "a space of one point",
        "optimizer.lr: {low: 1e-5, high: 1e-1, log: true}\n    schedule.warmup: {low: 0, high: 3}",
        "optimizer.lr: {choices: [1e-3, a: {optimizer.lr: 1e-3}]}",
        "20:3: every point of this space is the arm with which the search begins",
    ),
)

METHODS: tuple[Spoilt, ...] = (
    (
        "an unknown sampler",
        TPE,
        "kind: tpee",
        "23:19: search.sampler.kind: 'tpee' is not an allowed value; did you mean 'tpe'?",
    ),
    (
        "an unknown option of a sampler",
        TPE,
        "kind: tpe, randm: 2",
        "23:24: unknown key 'randm' in search.sampler; did you mean 'random'?",
    ),
    ("a sampler without its kind", TPE, "random: 2", "23:3: missing key 'kind' in search.sampler"),
    (
        "an unknown pruner",
        POINTS,
        "  points: 5\n  pruner: {kind: mediann}\n",
        "25:18: search.pruner.kind: 'mediann' is not an allowed value; did you mean 'median'?",
    ),
    (
        "a pruner by what is recorded once",
        POINTS,
        "  points: 5\n  objective: update_seconds\n  pruner: {kind: median}\n",
        (
            "26:18: a trial records update_seconds only at its end, so there is nothing to prune by; "
            "evaluate more often, or leave the pruner out"
        ),
    ),
    (
        "the median pruner between seeds",
        POINTS,
        "  points: 5\n  seeds: 2\n  pruner: {kind: median}\n",
        (
            "26:18: the median pruner looks at the course of one training, and each point has 2; use `seeds: "
            "1`, or the wilcoxon pruner"
        ),
    ),
    (
        "hyperband between seeds",
        POINTS,
        "  points: 5\n  seeds: 2\n  pruner: {kind: hyperband, least: 1}\n",
        (
            "26:18: the hyperband pruner looks at the course of one training, and each point has 2; use "
            "`seeds: 1`, or the wilcoxon pruner"
        ),
    ),
    (
        "the wilcoxon pruner with few seeds",
        POINTS,
        "  points: 5\n  seeds: 3\n  pruner: {kind: wilcoxon, p: 0.1}\n",
        (
            "26:18: with p 0.1 the wilcoxon pruner needs more than 4 seeds, and this search has 3; use "
            "`seeds: 6`"
        ),
    ),
    (
        "the wilcoxon pruner with one seed",
        POINTS,
        "  points: 5\n  pruner: {kind: wilcoxon}\n",
        (
            "25:18: with p 0.1 the wilcoxon pruner needs more than 4 seeds, and this search has 1; use "
            "`seeds: 6`"
        ),
    ),
    (
        "a pruner of several objectives",
        POINTS,
        "  points: 5\n  objective: [validation_loss, bits_per_byte]\n  pruner: {kind: median}\n",
        "26:3: a search with several objectives cannot prune; leave the pruner out",
    ),
    (
        "cma-es with several objectives",
        "kind: tpe, random: 2}\n  points: 5\n",
        "kind: cma-es}\n  points: 5\n  objective: [validation_loss, bits_per_byte]\n",
        "23:19: cma-es has one objective; use tpe, nsga-ii or gp",
    ),
    (
        "cma-es with one number",
        "schedule.warmup: {low: 0, high: 3}\n  sampler: {kind: tpe, random: 2",
        "optimizer.kind: {choices: [adamw, radam]}\n  sampler: {kind: cma-es",
        "23:19: cma-es needs at least two parameters that are numbers; use tpe, or gp",
    ),
    (
        "cma-es with conditions",
        "schedule.warmup: {low: 0, high: 3}\n  sampler: {kind: tpe, random: 2",
        (
            "optimizer.kind: {choices: [adamw, radam]}\n    schedule.warmup: {low: 0, high: 3, when: "
            "{optimizer.kind: radam}}\n    schedule.flat: {low: 0, high: 1}\n  sampler: {kind: cma-es"
        ),
        "25:19: cma-es needs parameters that always exist, and schedule.warmup does not; use tpe",
    ),
    (
        "a grid over endless values",
        TPE,
        "kind: grid",
        "21:5: a grid needs a `step` for optimizer.lr, which has endless values",
    ),
    (
        "a grid that is too large",
        (
            "optimizer.lr: {low: 1e-5, high: 1e-1, log: true}\n    schedule.warmup: {low: 0, high: 3}\n  "
            "sampler: {kind: tpe, random: 2"
        ),
        (
            "optimizer.lr: {low: 0.0, high: 1.0, step: 1e-5}\n    schedule.warmup: {low: 0, high: 3}\n  "
            "sampler: {kind: grid"
        ),
        (
            "23:19: a grid of 400,004 points is too large; it can have 100,000; use larger steps, or another "
            "sampler"
        ),
    ),
    ("one point", POINTS, "  points: 1\n", "24:11: search.points: must be at least 2, found 1"),
    ("no seeds", POINTS, "  points: 5\n  seeds: 0\n", "25:10: search.seeds: must be at least 1, found 0"),
    (
        "no time",
        POINTS,
        "  points: 5\n  timeout: 0\n",
        "25:12: search.timeout: this is not a time; write for example 90s, 30m, 1.5h or a number of seconds",
    ),
    (
        "an unknown key of the search",
        POINTS,
        "  points: 5\n  pionts: 3\n",
        "25:3: unknown key 'pionts' in search; did you mean 'points'?",
    ),
    (
        "an unknown objective",
        POINTS,
        "  points: 5\n  objective: validation_los\n",
        (
            "25:14: task 'train' does not produce the metric 'validation_los'; did you mean "
            "'validation_loss' or 'validation_loss_as_trained'?"
        ),
    ),
    (
        "an objective without a better direction",
        POINTS,
        "  points: 5\n  objective: gradient_norm\n",
        (
            "25:14: neither higher nor lower values of gradient_norm are better, so arms cannot be compared "
            "by it"
        ),
    ),
    (
        "an objective twice",
        POINTS,
        "  points: 5\n  objective: [validation_loss, validation_loss]\n",
        "25:14: an objective is listed twice",
    ),
)

TRIED: tuple[Spoilt, ...] = (
    (
        "an unknown parameter",
        POINTS,
        "  points: 5\n  enqueue: [{optimizer.lrr: 1e-3, schedule.warmup: 1}]\n",
        "25:14: the space has no parameter 'optimizer.lrr'; did you mean 'optimizer.lr'?",
    ),
    (
        "a value outside of the range",
        POINTS,
        "  points: 5\n  enqueue: [{optimizer.lr: 1.0, schedule.warmup: 1}]\n",
        "25:28: 1.0 is not a value of optimizer.lr in this space",
    ),
    (
        "a fraction of a whole number",
        POINTS,
        "  points: 5\n  enqueue: [{optimizer.lr: 1e-3, schedule.warmup: 1.5}]\n",
        "25:51: 1.5 is not a value of schedule.warmup in this space",
    ),
    (
        "a point without a parameter",
        POINTS,
        "  points: 5\n  enqueue: [{optimizer.lr: 1e-3}]\n",
        "25:13: this point has no schedule.warmup; a point needs a value for each parameter",
    ),
    (
        "an empty point",
        POINTS,
        "  points: 5\n  enqueue: [{}]\n",
        "25:13: search.enqueue.0: needs at least 1 item, but has 0",
    ),
    (
        "a parameter that does not exist there",
        "schedule.warmup: {low: 0, high: 3}\n  sampler: {kind: tpe, random: 2}\n  points: 5\n",
        (
            "optimizer.kind: {choices: [adamw, sgd]}\n    optimizer.momentum: {low: 0.0, high: 0.9, when: "
            "{optimizer.kind: sgd}}\n  sampler: {kind: tpe, random: 2}\n  points: 5\n  enqueue: "
            "[{optimizer.kind: adamw, optimizer.lr: 1e-3, optimizer.momentum: 0.5}]\n"
        ),
        "26:57: optimizer.momentum does not exist at this point; see its `when`",
    ),
    (
        "a setting that says how something is measured",
        WARMUP,
        "evaluate_every: {low: 1, high: 4}",
        (
            "22:5: evaluate_every says how arms are measured, so it must be the same in all of them, but "
            "point=best has 1 instead of 2 (with optimizer.lr=0.001, evaluate_every=1); set it under `base`, "
            "or under `across` to measure every arm in several ways"
        ),
    ),
    (
        "an unknown setting",
        WARMUP,
        "schedule.wramup: {low: 0, high: 3}",
        (
            "22:5: unknown key 'wramup' in schedule (with optimizer.lr=1e-05, schedule.wramup=0); did you "
            "mean 'warmup'?"
        ),
    ),
    (
        "an unknown section",
        WARMUP,
        "schedul.warmup: {low: 0, high: 3}",
        ("22:5: unknown key 'schedul' (with optimizer.lr=1e-05, schedul.warmup=0); did you mean 'schedule'?"),
    ),
    (
        "a path through a number",
        WARMUP,
        "updates.warmup: {low: 0, high: 3}",
        (
            "22:5: updates.warmup cannot be set: part of this path is not a mapping (with "
            "optimizer.lr=1e-05, updates.warmup=0)"
        ),
    ),
    (
        "a value that the task refuses",
        WARMUP,
        "model.n_heads: {choices: [2, 3]}",
        ("22:5: model: d_model 16 is not a multiple of n_heads 3 (with optimizer.lr=0.001, model.n_heads=3)"),
    ),
    (
        "an end that the task refuses",
        WARMUP,
        "schedule.warmup: {low: 0, high: 5}",
        (
            "22:5: schedule.warmup 5 is longer than the run of 4 updates (with optimizer.lr=0.001, "
            "schedule.warmup=5)"
        ),
    ),
    (
        "real numbers where whole ones are needed",
        WARMUP,
        "schedule.warmup: {low: 0.5, high: 2.5}",
        (
            "22:5: schedule.warmup: expected an integer, found 0.5 (with optimizer.lr=0.001, "
            "schedule.warmup=0.5)"
        ),
    ),
    (
        "other work without a declaration",
        WARMUP,
        "batch: {low: 2, high: 8}",
        (
            "22:5: arms must do the same work on the same text: training tokens is 256 for point=best, but "
            "512 for the baseline (with optimizer.lr=0.001, batch=2); make them equal, or declare what the "
            "comparison is meant to vary: `parity: {differ: [training_tokens]}`"
        ),
    ),
)

PROOFS: tuple[Spoilt, ...] = (
    (
        "an unknown level of the arm",
        POINTS,
        "  points: 5\n  arm: {clip: 0.7}\n",
        "25:15: clip has no level '0.7'; did you mean '0.5'?",
    ),
    (
        "an unknown factor of the arm",
        POINTS,
        "  points: 5\n  arm: {clp: 0.5}\n",
        "25:9: `compare` has no factor 'clp'; did you mean 'clip'?",
    ),
    (
        "an unknown factor of the condition",
        POINTS,
        "  points: 5\n  at: {length: 16}\n",
        "25:8: `across` has no factor 'length'",
    ),
    (
        "an unknown direction",
        POINTS,
        "  points: 5\n  prove: {direction: bettr}\n",
        "25:3: claims.proof.direction: 'bettr' is not an allowed value; did you mean 'better'?",
    ),
    (
        "a claim without a form",
        POINTS,
        "  points: 5\n  prove: {metric: validation_loss}\n",
        (
            "25:3: claims.proof: a claim states exactly one of: at_least, at_most, direction, diverges, "
            "exponent, formula, holds, most_sensitive, no_difference, ratio, reaches, trend, value; found "
            "none of them"
        ),
    ),
    (
        "a bound in words",
        POINTS,
        "  points: 5\n  prove: {at_most: little}\n",
        "25:3: claims.proof.at_most: expected a number, found 'little'",
    ),
    (
        "two forms",
        POINTS,
        "  points: 5\n  prove: {at_most: 0.9, direction: better}\n",
        (
            "25:3: claims.proof: a claim states exactly one of: at_least, at_most, direction, diverges, "
            "exponent, formula, holds, most_sensitive, no_difference, ratio, reaches, trend, value; found "
            "at_most and direction"
        ),
    ),
    (
        "an unknown form",
        POINTS,
        "  points: 5\n  prove: {at_mots: 0.9}\n",
        "25:3: unknown key 'at_mots' in claims.proof; did you mean 'at_most'?",
    ),
    (
        "an unknown metric",
        POINTS,
        "  points: 5\n  prove: {direction: better, metric: validation_los}\n",
        (
            "25:3: task 'train' does not produce the metric 'validation_los'; did you mean 'validation_loss' "
            "or 'validation_loss_as_trained'?"
        ),
    ),
    (
        "too few seeds to prove anything",
        "design: {seeds: 7}",
        "design: {seeds: 3}",
        (
            "17:17: 3 seeds are too few to decide 1 comparison of validation_loss; use at least 6, or set "
            "`exploratory: true` to see effects without verdicts"
        ),
    ),
)


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@cases((*SPACE, *METHODS, *TRIED, *PROOFS))
def test_searches_that_could_not_work(old: str, new: str, message: str) -> None:
    put(Path(), spoilt(SEARCHED, old, new))
    assert refusal() == f"{FILE}:{message}"


def test_a_pruner_of_trainings_that_are_evaluated_at_their_end_only() -> None:
    pruned = (POINTS, f"{POINTS}  pruner: {{kind: median}}\n")
    put(Path(), patched(SEARCHED, pruned, ("evaluate_every: 2", "evaluate_every: 4")))
    assert refusal() == (
        f"{FILE}:25:18: a trial records validation_loss only at its end, so there is nothing to prune by; "
        "evaluate more often, or leave the pruner out"
    )


ACROSS = ("design:", "across: {length: [16, 32]}\ndesign:")


def test_a_search_under_several_conditions_needs_one_of_them() -> None:
    put(Path(), patched(SEARCHED, ACROSS))
    assert refusal() == (
        f"{FILE}:20:1: search does not say for which length it holds; add `at: {{length: …}}` with one of "
        "16, 32"
    )
    put(Path(), patched(SEARCHED, ACROSS, (POINTS, f"{POINTS}  at: {{length: 64}}\n")))
    assert refusal() == f"{FILE}:26:16: length has no level '64'; known: 16, 32"
    put(Path(), patched(SEARCHED, ACROSS, (POINTS, f"{POINTS}  at: {{length: 16}}\n")))
    assert StudyFile(FILE).search().begin.plain()["length"] == 16


def test_a_factor_that_is_called_as_the_one_of_the_proof() -> None:
    put(
        Path(), patched(SEARCHED, ("design:", "across: {point: [a: {length: 16}, b: {length: 32}]}\ndesign:"))
    )
    assert "the proof of a search needs the name 'point' for itself" in refusal()


def test_more_finalists_than_the_design_can_decide_about() -> None:
    several = f"{POINTS}  objective: [validation_loss, bits_per_byte]\n"
    put(Path(), patched(SEARCHED, (POINTS, several), ("seeds: 7", "seeds: 6")))
    assert refusal().startswith(f"{FILE}:17:17: 6 seeds are too few to decide ")
    put(Path(), patched(SEARCHED, (POINTS, f"{several}  finalists: 1\n"), ("seeds: 7", "seeds: 6")))
    assert StudyFile(FILE).search().search.finalists == 1


PARTS = (
    ("search:\n", "parts:\n  long: {base: {length: 32}}\n  short: {base: {length: 16}}\nsearch:\n"),
    ("  length: 32\n", ""),
)


def asked(part: str, *patches: tuple[str, str]) -> str:
    """The refusal to search a part of the study."""
    put(Path(), patched(SEARCHED, *patches))
    with pytest.raises(HarnessError) as caught:
        StudyFile(FILE).search(part)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_which_part_of_a_study_is_searched() -> None:
    assert (
        asked("", *PARTS)
        == "the study has parts; say which one to search; use --part with one of long, short"
    )
    assert asked("lon", *PARTS) == "the study has no part 'lon'; did you mean 'long'?"
    assert asked("long") == "the study has no part 'long'"
    put(Path(), patched(SEARCHED, *PARTS))
    search = StudyFile(FILE).search("short")
    assert (search.begin.plain()["length"], search.loaded.study.study) == (16, "tiny/short_search")


def test_a_study_that_does_not_say_where_to_search() -> None:
    search = SEARCHED[SEARCHED.index("search:\n") :]
    assert asked("", (search, "")) == (
        f"{FILE}:1:1: this study does not say where to search; "
        "add `search: {space: …}`, or use --space PATH=LOW:HIGH"
    )


def test_a_mistake_in_a_scale_that_is_not_asked_for_is_found() -> None:
    put(Path(), f"{SEARCHED}scales:\n  small:\n    search: {{points: 1}}\n")
    assert refusal() == f"{FILE}:27:22: search.points: must be at least 2, found 1 (at scale small)"


def test_every_message_names_a_place_in_the_line_that_is_wrong() -> None:
    """Unless the mistake is in two lines."""
    first = SEARCHED.splitlines().index("search:") + 1
    for name, _, _, message in (*SPACE, *METHODS, *TRIED):
        assert int(message.split(":")[0]) >= first, name
    assert RANGES in SEARCHED
