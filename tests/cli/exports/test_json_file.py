"""A run as JSON has every digit of contrasts and claims."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from harness.cli.exports.chosen import Chosen
from harness.cli.exports.json_file import json_export
from tests.report.synthetic import synthetic_report


def test_contrasts_and_claims_are_exported_with_every_digit() -> None:
    report = synthetic_report()
    first = replace(report.analysis.contrasts[0], high=math.inf)
    analysis = replace(report.analysis, contrasts=(first, *report.analysis.contrasts[1:]))
    document = json.loads(json_export([replace(report, analysis=analysis)], Chosen(at={})))
    assert (document["study"], document["scale"], document["format"]) == ("kv_cache", "cpu", 1)
    assert document["run"]["id"] == report.run.id
    assert [claim["id"] for claim in document["claims"]] == [claim.id for claim in report.analysis.claims]
    assert document["claims"][0]["says"] == report.analysis.claims[0].says
    exported = document["contrasts"][0]
    assert (exported["effect"], exported["high"]) == (first.effect, "inf")
    assert exported["pairs"] == [list(pair) for pair in first.pairs]
    assert exported["unit"] == "tokens/s"


def test_only_what_was_chosen_is_exported() -> None:
    report = synthetic_report()
    chosen = Chosen(at={"new_tokens": "64"})
    document = json.loads(json_export([report], chosen))
    assert {contrast["condition"]["new_tokens"] for contrast in document["contrasts"]} == {"64"}
