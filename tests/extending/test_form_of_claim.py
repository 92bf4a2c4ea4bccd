"""A newcomer's form of claim: one file with its fields and its check, one with its rule and its sentence.

Nothing else is edited. The form is then read from a study, checked, settled, listed in the schema, and
decided again from what the store keeps.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.analysis.claims import settlement
from harness.study.claims import FORMS
from tests.support.tiny_study import RECIPE

ROOT = Path(harness.__file__).parents[1]
FIELDS = '''
"""The form `wins`: the arm is better in most rounds."""

from __future__ import annotations

from pydantic import Field

from harness.study.checks.checker import StudyChecker
from harness.study.claims.arms import MetricComparison
from harness.study.reading.yaml_document import KeyPath


class WinsClaim(MetricComparison):
    """`metric` of the arm is better than the other arm's in a share `wins` of the rounds."""

    wins: float = Field(ge=0.5, le=1.0)

    def check(self, checker: StudyChecker, path: KeyPath) -> None:
        super().check(checker, path)
        if checker.study.design.rounds < 8:
            checker.fail((*path, "wins"), f"{path[-1]} needs 8 rounds", value=True)
'''
SETTLED = '''
"""How the form `wins` is settled."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.claims.arms import ArmResult, MetricSettlement
from harness.analysis.claims.decision import Rule, Tests
from harness.analysis.member import Member
from harness.analysis.results import ClaimVerdict
from harness.study.claims.wins import WinsClaim


@dataclass(frozen=True, kw_only=True)
class MostRounds(Rule):
    """A share of the rounds is better. This is a count, not a test: an example needs no more."""

    side: int
    share: float

    def tests(self, member: Member) -> Tests:
        better = sum(self.side * value > 0 for _, value in member.pairs) / member.n
        return Tests(float(better < self.share), float(better >= self.share))


class WinsSettlement(MetricSettlement[WinsClaim]):
    """`MostRounds` decides."""

    @property
    def claimed(self) -> str:
        return f"wins {self.claim.wins:.0%} of the rounds"

    @property
    def rule(self) -> MostRounds:
        return MostRounds(side=1 if self.record.better == "higher" else -1, share=self.claim.wins)

    def position(self, result: ArmResult, verdict: ClaimVerdict) -> str:
        return f"the share of rounds that the arm wins is {verdict}"
'''
USED = """
import json
from pathlib import Path

import harness
from harness.analysis.claims.decision import Basis
from harness.errors import StudyError
from harness.study.claims import FORMS
from harness.study.load import load_study
from harness.study.reading.json_schema import study_schema
from tests.analysis.planted import Planted, claim, flat, study

stated = {"source": "x", "says": "It wins.", "level": {"cache": "dynamic"}, "at": {"new_tokens": 256}}
results = {}
for ratio in (1.5, 0.5):
    loaded = study(claims={"it": stated | {"wins": 0.9}})
    settled = claim(Planted(loaded=loaded, ratio=flat(ratio)).analysis(), "it")
    again = Basis.read(json.loads(json.dumps(settled.basis)))
    results[str(ratio)] = [settled.verdict, again.verdict, settled.claimed, settled.sentence]
refusals = []
text = Path("study.yaml").read_text()
for rounds, wins in ((10, 0.9), (6, 0.9), (10, 0.2)):
    Path("study.yaml").write_text(text.replace("ROUNDS", str(rounds)).replace("WINS", str(wins)))
    try:
        load_study(Path("study.yaml"))
        refusals.append("")
    except StudyError as error:
        refusals.append(str(error))
print(json.dumps({
    "package": str(Path(harness.__file__).parent),
    "form": type(loaded.study.claims["it"]).__name__,
    "results": results,
    "refusals": refusals,
    "schema": study_schema()["$defs"]["WinsClaim"]["properties"]["wins"],
    "forms": list(FORMS),
}))
"""
STUDY = """\
study: won
question: Which is faster?
task: generate
base:
  model: {recipe: own}
  prompts: {corpus: python-docs, split: test, count: 2, tokens: 8}
  new_tokens: 8
  cache: none
compare: {cache: [none, dynamic]}
design: {rounds: ROUNDS}
primary: decode_tokens_per_second
claims:
  it: {source: x, says: It wins., level: {cache: dynamic}, wins: WINS}
"""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a copy of the package, to which the two files were added, makes of the form."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "harness", folder / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "harness/study/claims/wins.py").write_text(FIELDS)
    (folder / "harness/analysis/claims/wins.py").write_text(SETTLED)
    (folder / "recipes").mkdir()
    (folder / "recipes/own.yaml").write_text(RECIPE)
    (folder / "study.yaml").write_text(STUDY)
    tests = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (folder, tests)))}
    process = subprocess.run(
        [sys.executable, "-c", USED],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    result: dict[str, Any] = json.loads(process.stdout)
    assert result["package"] == str(folder / "harness")
    return result


def test_the_form_is_read_and_in_the_schema(used: dict[str, Any]) -> None:
    assert used["form"] == "WinsClaim"
    assert used["forms"] == sorted([*FORMS, "wins"])
    assert used["schema"]["minimum"] == 0.5


def test_the_form_is_checked_with_the_line_and_the_column(used: dict[str, Any]) -> None:
    assert used["refusals"] == [
        "",
        "study.yaml:13:66: it needs 8 rounds",
        "study.yaml:13:66: claims.it.wins: must be at least 0.5, found 0.2",
    ]


def test_the_form_is_settled_and_decided_again(used: dict[str, Any]) -> None:
    for ratio, verdict in (("1.5", "confirmed"), ("0.5", "refuted")):
        settled, again, claimed, sentence = used["results"][ratio]
        assert (settled, again, claimed) == (verdict, verdict, "wins 90% of the rounds")
        assert sentence.endswith(
            f"10 rounds of one model): the share of rounds that the arm wins is {verdict}."
        )


def test_every_form_has_both_files() -> None:
    for form, declared in FORMS.items():
        assert declared.form() == form
        assert form in declared.model_fields
        assert settlement(declared).__module__ == f"harness.analysis.claims.{form}"
