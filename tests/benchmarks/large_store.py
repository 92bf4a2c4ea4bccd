"""A store like that of a study that ran for days: the tiny study with very many rounds, as a driver records
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.experiment import Workspace, load
from harness.experiment.declaring import declare_claims
from harness.invariants.base import Check
from harness.machine.environment import provenance
from harness.run.identity import identity
from harness.store.rows import Run, Session
from harness.store.store import Store, open_store
from harness.study.planning.plan import plan
from harness.telemetry.process_sampler import TelemetrySample
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec
from tests.support.tiny_study import STUDY, patched, put

TIMED = ("decode_tokens_per_second", "first_token_seconds", "prefill_tokens_per_second", "tokens_per_second")
SPEED = {"cache=none": 300.0, "cache=dynamic": 700.0, "cache=static": 800.0}
RANDOM_SEED = 20_261_130


@dataclass(frozen=True, kw_only=True)
class Size:
    """`rounds` of ten trials (a lead-in and nine measurements), each with `units` samples of the four timed
    metrics, and with `looks` samples of telemetry.
    """

    rounds: int = 986
    units: int = 123
    looks: int = 10


def large_store(folder: Path, size: Size) -> str:
    """Write the study and its store below `folder`, which is the current folder, and return the id of its
    last trial. `HARNESS_CACHE` is set.
    """
    study = put(folder, patched(STUDY, ("rounds: 10}", f"rounds: {size.rounds}}}")))
    workspace = Workspace(results=folder / "results", reports=folder / "reports")
    experiment = load(study.relative_to(folder), workspace=workspace)
    (loaded,) = experiment.parts
    setting = experiment.setting()
    trials = plan(loaded).trials
    with open_store(workspace.location) as store:
        declare_claims(store, (loaded, *experiment.declared))
        run = store.create_run(
            identity(loaded, setting),
            study=loaded.study.study,
            study_json=loaded.study.model_dump_json(),
            study_source=loaded.source,
            environment=setting.environment.model_dump(mode="json"),
            trials=trials,
        )
        session = store.open_session(run, provenance(folder).model_dump(mode="json"))
        _record(store, run, session, trials, size)
        store.close_session(session)
    return trials[-1].id


def _record(store: Store, run: Run, session: Session, specs: tuple[TrialSpec, ...], size: Size) -> None:
    chance = np.random.default_rng(RANDOM_SEED)
    for position, spec in enumerate(specs):
        attempt_id = store.begin_trial(run, session, spec, position=position)
        store.finish_trial(
            attempt_id,
            _outcome(spec, size, chance),
            seconds=1.0,
            telemetry=[_look(number) for number in range(size.looks)],
            nvml_reason="NVML: NVML Shared Library Not Found",
        )


def _outcome(spec: TrialSpec, size: Size, chance: np.random.Generator) -> Outcome:
    notes = {"device": "cpu", "threads": 1, "work_seconds": 0.75}
    if spec.purpose == "check":
        return Outcome(status="finished", checks=(CHECK,), notes={**notes, "checks": 1})
    if spec.purpose == "train":
        losses = [Sample("loss", step, 5.0 - step / 10) for step in range(4)]
        return Outcome(
            status="finished", samples=tuple(losses), outputs={"weights": "ab" * 32}, spent={}, notes=notes
        )
    tokens = int(spec.config["new_tokens"])
    speed = SPEED[spec.arm] * (1 - 0.02 * tokens / 32) * float(chance.lognormal(0.0, 0.02))
    samples = []
    for name in TIMED:
        rates = speed * chance.lognormal(0.0, 0.05, size.units)
        values = 1 / rates if name == "first_token_seconds" else rates
        samples += [Sample(name, step, value) for step, value in enumerate(values.tolist())]
    cached = 0.0 if spec.arm == "cache=none" else 128.0 * (8 + tokens)
    samples += [
        Sample("cache_bytes", 0, cached),
        Sample("cache_bytes_formula", 0, cached),
        Sample("peak_rss_bytes", 0, 3e8 + float(chance.integers(0, 2**20))),
        Sample("peak_tensor_bytes", 0, 1e6 + cached),
    ]
    return Outcome(
        status="finished",
        samples=tuple(samples),
        outputs={"tokens": f"{tokens:016x}"},
        spent={"batch": 2, "new_tokens": 2.0 * tokens, "parameters": 6400, "threads": 1},
        notes={**notes, "steady": True, "warm_up_units": 1},
    )


CHECK = Check(
    case="one query",
    precision="float64",
    passed=True,
    deviation=1e-17,
    tolerance=1e-10,
    compared=64,
    skipped=0,
)


def _look(number: int) -> TelemetrySample:
    return TelemetrySample(
        t_seconds=number / 10,
        rss_bytes=250_000_000 + number,
        cpu_percent=None if number == 0 else 100.0,
        threads=2,
        load=1.5,
        swap_in_bytes=0,
        swap_out_bytes=0,
        cpu_mhz=2596.15,
        other_cpu_percent=None if number == 0 else 3.0,
    )
