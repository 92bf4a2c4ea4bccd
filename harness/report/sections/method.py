"""The method of one part: design, margins, the machine before the run, the run and its telemetry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.analysis.validity.held_out import overlap_facts
from harness.metrics import Metric, known_metrics, metric
from harness.report.inputs import ReportInput
from harness.report.labels import ArmName, arm_name
from harness.report.machine import calibrated
from harness.report.sections.surroundings import Facts, flat
from harness.statistics.rank_sums import is_exact
from harness.store.rows import Chain
from harness.study.schema import Design
from harness.trial.energy import ENERGY
from harness.trial.outcome import NOT_TIMED
from harness.wording import count, format_bytes, margin_text


@dataclass(frozen=True, kw_only=True)
class ArmTelemetry:
    arm: ArmName
    trials: int
    rss: str
    cpu: str
    gpu_memory: str
    gpu_use: str


@dataclass(frozen=True, kw_only=True)
class MethodView:
    in_short: str
    design: Facts
    margins: Facts
    machine: Facts
    disturbances: tuple[str, ...]
    timed: bool
    run: Facts
    nvml: str
    energy: tuple[str, ...]
    telemetry: tuple[ArmTelemetry, ...]


def summary(view: MethodView) -> str:
    """The design in one line."""
    return view.in_short


def method_view(report: ReportInput) -> MethodView:
    loaded, design = report.loaded, _design(report)
    facts = dict(design)
    return MethodView(
        in_short=f"{facts['primary metric']}; {facts['estimate']}",
        design=design,
        margins=_margins(report),
        machine=calibrated(
            report.calibration,
            metric(loaded.study.primary),
            margin=loaded.study.margin(metric(loaded.study.primary)),
            rounds=loaded.study.design.rounds,
        ),
        disturbances=report.disturbances,
        timed=not _is_side_by_side(report),
        run=flat(
            {
                "run": report.run.id,
                "judged as study": report.run.study,
                "history until": _until_text(report),
                "study_digest": report.run.study_digest,
                "code_digest": report.run.code_digest,
                "chain": chain_text(report.run.chain),
                **_search(report),
            }
        ),
        nvml=_gpu_values(report),
        energy=tuple(_energy_sources(report)),
        telemetry=tuple(_telemetry(report)),
    )


def _search(report: ReportInput) -> dict[str, str]:
    """The run of the search before a proof, from which `harness verify` computes its sections again."""
    search = report.search
    return {"search run": search.run.id, "search chain": chain_text(search.chain)} if search else {}


def chain_text(chain: Chain) -> str:
    """The head of a run's chain, and the number of attempts whose data it does not cover."""
    if chain.head is None:
        return "no attempt has ended"
    earlier = f" ({count(chain.earlier, 'attempt')} of an earlier version without digests)"
    return f"{chain.head}{earlier if chain.earlier else ''}"


def _until_text(report: ReportInput) -> str:
    """Up to where the store was read for earlier verdicts, which `harness verify` repeats."""
    judgement, declaration = report.history.until
    return f"judgement {judgement}, declaration {declaration}"


def _design(report: ReportInput) -> Facts:
    study, loaded = report.loaded.study, report.loaded
    across = "; ".join(f"{factor}: {len(levels)} levels" for factor, levels in study.across.items()) or "none"
    differ = ", ".join(study.parity.differ) or "nothing"
    return (
        ("task", study.task),
        ("primary metric", metric(study.primary).summary),
        ("arms", f"{len(loaded.arms)}, {study.design.arms}"),
        ("baseline", loaded.baseline.name),
        ("conditions", across),
        ("seeds", str(study.design.seeds)),
        (
            "rounds",
            f"{study.design.rounds}{_until(study.design)}; a round runs every arm once under every condition",
        ),
        (
            "order",
            f"every arm follows every arm equally often, from a drawn order (seed {study.design.order_seed})",
        ),
        ("trials", _processes(report)),
        ("estimate", _estimate(metric(study.primary), seeds=study.design.seeds, most=_most_pairs(report))),
        ("work that must match", ", ".join(("every counted quantity", *study.parity.match))),
        ("work that may differ", differ),
        *((f"held-out text {name}", fact) for name, fact in overlap_facts(report.trials)),
    )


def _is_side_by_side(report: ReportInput) -> bool:
    return any(NOT_TIMED in trial.notes for trial in report.trials)


def _processes(report: ReportInput) -> str:
    if _is_side_by_side(report):
        return "each in a new process, several at the same time, so that nothing is timed"
    return "each in a new process"


def _most_pairs(report: ReportInput) -> int:
    """The largest number of pairs of a comparison of the primary metric."""
    primary = report.loaded.study.primary
    return max((one.n for one in report.analysis.contrasts if one.metric == primary), default=0)


def _estimate(primary: Metric, *, seeds: int, most: int) -> str:
    """How the effects on the primary metric are estimated, from at most `most` pairs."""
    if primary.paired_over == "sentences":
        effect = f"{primary.compared_by.removesuffix('s')} of the corpus scores"
        if seeds > 1:
            return f"{effect}; interval and p from the variance between seeds and between distinct texts"
        return f"{effect}; bootstrap over distinct texts, paired approximate randomisation must agree"
    effects = "log ratios" if primary.compared_by == "ratios" else "differences"
    procedure = "exact signed-rank interval and p"
    if not is_exact(most):
        procedure = "signed-rank interval and p by a saddlepoint approximation, because there are many pairs"
    return f"Hodges-Lehmann estimate of the {effects} within {primary.paired_over}; {procedure}"


def _until(design: Design) -> str:
    if design.until is None:
        return ""
    return (
        f" ({design.fewest_rounds}, then one more while a 95 % interval was wider than "
        f"{design.until.width * 100:g} %; only the width counts, not which values an interval excludes)"
    )


def _margins(report: ReportInput) -> Facts:
    measured = {summary.metric for summary in report.analysis.summaries}
    declared = report.loaded.study.margins
    rows = []
    for name, record in known_metrics().items():
        if name not in measured or record.better == "neither":
            continue
        origin = "declared" if report.loaded.study.margin_name(record) in declared else "default"
        margin = margin_text(report.loaded.study.margin(record), record.compared_by)
        rows.append(
            (record.label, f"{'exact' if record.exact else margin} ({record.margin_group}, {origin})")
        )
    return tuple(rows)


def _telemetry(report: ReportInput) -> list[ArmTelemetry]:
    loaded = report.loaded
    arms = report.samples.measured[["trial", "arm"]].drop_duplicates()
    seen = report.telemetry.merge(arms, on="trial", how="inner")
    rows = []
    for arm in loaded.arms:
        part = seen[seen["arm"] == arm.name]
        if part.empty:
            continue
        rows.append(
            ArmTelemetry(
                arm=arm_name(loaded, arm.name),
                trials=part["trial"].nunique(),
                rss=_median_and_max(part["rss_bytes"], format_bytes),
                cpu=_median_and_max(part["cpu_percent"], _percent),
                gpu_memory=_median_and_max(part["gpu_memory_bytes"], format_bytes),
                gpu_use=_median_and_max(part["gpu_utilisation"], _percent),
            )
        )
    return rows


def _gpu_values(report: ReportInput) -> str:
    """Whether the GPU was read, and which values of it are missing."""
    if report.nvml_reason is None:
        return "GPU values were read from NVML while trials ran."
    if report.telemetry.filter(like="gpu_").notna().any(axis=None):
        return f"GPU values were read from NVML while trials ran. Some are missing: {report.nvml_reason}."
    return f"There are no GPU values: {report.nvml_reason}."


def _energy_sources(report: ReportInput) -> Iterator[str]:
    """How the energy of the measured trials was measured, or why it is not known."""
    sources = Counter(
        (name, source)
        for trial in report.trials
        if trial.purpose == "measure"
        for name, source in trial.notes.get(ENERGY, {}).items()
    )
    for (name, source), trials in sorted(sources.items()):
        yield f"{metric(name).label}: {source} ({count(trials, 'trial')})"


def _percent(value: float) -> str:
    return f"{value:.0f} %"


def _median_and_max(column: pd.Series[Any], write: Any) -> str:
    numbers = pd.to_numeric(column).dropna()
    return f"{write(float(numbers.median()))} / {write(float(numbers.max()))}" if len(numbers) else "–"
