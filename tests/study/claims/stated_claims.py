"""Studies that state one claim, and how their checks refuse it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.errors import StudyError
from harness.study.checks.checker import StudyChecker
from harness.study.checks.study import check_claims
from harness.study.loaded import Study
from harness.study.reading.validation_errors import study_error
from harness.study.reading.yaml_document import read_text
from harness.tasks.registry import task_class

TRAINING = """\
study: learned
question: Which learns better?
task: train
base: {}
compare: {std: [0.02, 0.01, 0.04]}
across: {depth: [2, 4, 8], kind: [a, b]}
design: {seeds: 12}
primary: validation_loss
claims:
  it: {source: here, says: So., CLAIM}
"""
DECODING = """\
study: decoded
question: Which is faster?
task: generate
base: {}
compare: {cache: [none, dynamic, static]}
across: {new_tokens: [16, 64, 256]}
design: {rounds: 12}
primary: decode_tokens_per_second
claims:
  it: {source: here, says: So., CLAIM}
"""


def check(study: str, claim: str, **design: str) -> None:
    """Reads and checks the study with this claim. `design` replaces its number of rounds or seeds."""
    text = study.replace("CLAIM", claim)
    for key, value in design.items():
        text = text.replace(f"{key}: 12", value)
    document = read_text(text, file="t.yaml")
    try:
        read = Study.read(document.data)
    except ValidationError as error:
        raise study_error(error, document, Study) from None
    check_claims(StudyChecker(read, document, task_class(read.task)), read.claims)


def refusal(study: str, claim: str, **design: str) -> str:
    """The message with which the study is refused, without the place in the file."""
    with pytest.raises(StudyError) as caught:
        check(study, claim, **design)
    file, _, message = str(caught.value).partition(": ")
    assert file.startswith("t.yaml:")
    return message
