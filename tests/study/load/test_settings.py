"""Keys and settings of a study that are unknown, missing or of another type."""

from __future__ import annotations

from pathlib import Path

from harness.study.load import StudyFile, load_study
from tests.study.load.refusals import Spoilt, cases, refusal_of_spoilt
from tests.support.tiny_study import FILE, put

REFUSED: tuple[Spoilt, ...] = (
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
            "14:1: unknown key 'colour'; known: across, base, claims, compare, design, invariants, "
            "labels, margin_reasons, margins, metrics, "
            "parity, primary, question, references, search, study, task, when"
        ),
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
            "cache_bytes_formula, cpu_energy_joules, cpu_joules_per_token, decode_tokens_per_second, "
            "first_token_seconds, gpu_energy_joules, gpu_joules_per_token, peak_rss_bytes, "
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
        "a margin that is much wider than usual",
        "primary:",
        "margins: {time: 0.2}\nprimary:",
        (
            "14:17: margins.time: 0.2 is more than 3 times the default of 0.05; say why under "
            "`margin_reasons: {time: …}`, which is printed beside the verdicts"
        ),
    ),
    (
        "a reason without a margin",
        "primary:",
        "margin_reasons: {time: why not}\nprimary:",
        "14:18: `margins` does not declare a margin for 'time'",
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
        "wrong type of a setting",
        "count: 2",
        "count: two",
        "6:54: prompts.count: expected an integer, found 'two'",
    ),
    (
        "a setting that does not fit",
        "tokens: 8}",
        "tokens: 60}",
        "6:65: prompts.tokens 60 + new_tokens 8 is more than the model's max_positions 64",
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
)


@cases(REFUSED)
def test_settings_that_are_wrong(old: str, new: str, message: str) -> None:
    assert refusal_of_spoilt(old, new) == message


def test_the_study_that_is_spoilt_here_is_sound() -> None:
    put(Path())
    assert load_study(FILE)[0].study.study == "tiny"
    assert StudyFile(FILE).scales == ("cpu", "smoke")
