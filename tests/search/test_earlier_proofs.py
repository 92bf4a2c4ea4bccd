"""Earlier proofs are read from the store: those before a proof, with their verdicts up to a judgement."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.search.earlier_proofs import EarlierProof, earlier_proofs
from harness.store.rows import Identity, JudgedClaim, Run
from harness.store.store import Store, open_store
from tests.report.synthetic import study
from tests.support.clock import JUMPS, set_clock


def proof_run(store: Store, lr: float, *, scale: str = "cpu", plant: str | None = None) -> Run:
    levels = [{"baseline": {"optimizer.lr": 0.1, "batch": 4}}, {"best": {"optimizer.lr": lr, "batch": 4}}]
    declared = study(study="lr/proof", compare={"point": levels}, across={}, claims={})
    return store.create_run(
        Identity(
            study_digest=f"{lr}", scale=scale, code_digest="c", environment_digest="e" * 16, plant=plant
        ),
        study="lr/proof",
        study_json=declared.model_dump_json(),
        study_source="",
        environment={},
        trials=(),
    )


def judge(store: Store, run: Run, verdict: str) -> None:
    row = JudgedClaim(
        run_id=run.id,
        claim="proof",
        claim_digest=None,
        verdict=verdict,
        alone=verdict,
        late=False,
        complete=True,
        effect="",
        interval="",
        values_digest=None,
        code_digest="c",
    )
    store.record_judgements(run, [row])


@pytest.mark.parametrize("days", [0, *JUMPS])
def test_the_proofs_before_this_one_come_with_their_points_and_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    with open_store(tmp_path / "harness.db") as store:
        first = proof_run(store, 0.2)
        set_clock(monkeypatch, days)
        interrupted = proof_run(store, 0.3)
        set_clock(monkeypatch, -days)
        present = proof_run(store, 0.4)
        proof_run(store, 0.5, scale="gpu")
        proof_run(store, 0.6, plant="cache-parity/off-by-one")
        judge(store, first, "undecided")
        until = store.judgements("lr/proof", ())[-1].id
        judge(store, first, "confirmed")
        judge(store, present, "refuted")
        earlier = earlier_proofs(store, present)
        assert earlier == (
            EarlierProof(
                run=first.id,
                date=first.created_at,
                points={"best": {"optimizer.lr": 0.2}},
                verdicts={"proof": "confirmed"},
            ),
            EarlierProof(
                run=interrupted.id,
                date=interrupted.created_at,
                points={"best": {"optimizer.lr": 0.3}},
                verdicts={},
            ),
        )
        assert earlier_proofs(store, present, until)[0].verdicts == {"proof": "undecided"}
        assert earlier_proofs(store, first) == ()
