"""What a gate says about all benchmarks together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from harness.gate.decide import BenchmarkFinding

GateVerdict = Literal["passed", "regressed", "undecided", "invalid"]


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """What the gate says. `reason` is one sentence, and `study` names the study that measured."""

    verdict: GateVerdict
    reason: str
    findings: tuple[BenchmarkFinding, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    study: str = ""

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """The result from its plain data. Raises KeyError or TypeError if these are another thing."""
        findings = tuple(BenchmarkFinding(**one) for one in document["findings"])
        return cls(**{**document, "findings": findings, "warnings": tuple(document["warnings"])})


_VERDICTS: tuple[tuple[GateVerdict, tuple[str, ...], str], ...] = (
    ("regressed", ("regressed", "vanished"), "regressed or vanished"),
    ("invalid", ("invalid",), "cannot be compared"),
    ("undecided", ("undecided", "changed"), "may have regressed"),
)


def result_of(findings: Sequence[BenchmarkFinding], problem: str = "") -> GateResult:
    """The worst of the findings decides: what regressed or vanished, then what cannot be compared, then what
    is open. A problem of the measurement makes the result `invalid`, with all that was measured.
    """
    if problem:
        nothing = tuple(replace(one, state="invalid", reason="") if one.rounds else one for one in findings)
        return GateResult(verdict="invalid", reason=problem, findings=nothing)
    for verdict, states, what in _VERDICTS:
        names = [one.name for one in findings if one.state in states]
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            return GateResult(verdict=verdict, reason=f"{names[0]}{more} {what}", findings=tuple(findings))
    if not findings:
        return GateResult(verdict="invalid", reason="no benchmark was found, so nothing was measured")
    if all(one.state == "new" for one in findings):
        reason = "all benchmarks are new, so there is nothing to compare"
    else:
        reason = "no benchmark regressed"
    return GateResult(verdict="passed", reason=reason, findings=tuple(findings))
