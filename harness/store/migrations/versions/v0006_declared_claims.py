"""When claims were declared, every judgement of them, and the seeds that a run draws.

The last verdicts of older versions become judgements without digests.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("draw", "training_draw"):
        op.add_column("runs", sa.Column(name, sa.Integer(), server_default=sa.text("1"), nullable=False))
    judgements = op.create_table(
        "judgements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("claim_digest", sa.Text()),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("alone", sa.Text(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("complete", sa.Boolean()),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("values_digest", sa.Text()),
        sa.Column("judged_at", sa.Text(), nullable=False),
        sa.Column("code_digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_judgements_run_id"),
        sa.PrimaryKeyConstraint("id", name="pk_judgements"),
    )
    op.create_index("ix_judgements_run_id", "judgements", ["run_id"])
    op.create_index("ix_judgements_claim_digest", "judgements", ["claim_digest"])
    op.create_table(
        "declared_claims",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("after_attempt", sa.Integer(), nullable=False),
        sa.Column("declared_at", sa.Text(), nullable=False),
        sa.Column("code_digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_declared_claims"),
    )
    op.create_table(
        "declarations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("after_attempt", sa.Integer(), nullable=False),
        sa.Column("declared_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_declarations"),
    )
    op.create_index("ix_declarations_study", "declarations", ["study"])
    _copy_verdicts(judgements)


def _copy_verdicts(judgements: sa.Table) -> None:
    columns = ("run_id", "claim", "verdict", "effect", "low", "high", "computed_at", "code_digest")
    verdicts = sa.table("verdicts", *map(sa.column, (*columns, "place")))
    connection = op.get_bind()
    query = sa.select(*(verdicts.c[name] for name in columns))
    query = query.order_by(verdicts.c.computed_at, verdicts.c.run_id, verdicts.c.place)
    rows = [
        {
            "run_id": row.run_id,
            "claim": row.claim,
            "verdict": row.verdict,
            "alone": row.verdict,
            "late": False,
            "effect": _text(row.effect),
            "interval": f"{_text(row.low)} to {_text(row.high)}" if row.low is not None else "–",
            "judged_at": row.computed_at,
            "code_digest": row.code_digest,
        }
        for row in connection.execute(query)
    ]
    if rows:
        connection.execute(sa.insert(judgements), rows)


def _text(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:.4g}"
