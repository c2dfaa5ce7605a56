"""Jobs and schedules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the queue and the schedules."""
    _job()
    _schedule()


def _job() -> None:
    op.create_table(
        "job",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("run_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("leased_until_ms", sa.BigInteger()),
        sa.Column("worker", sa.Text()),
        sa.Column("last_error", sa.Text()),
        sa.Column("dedupe", sa.Text()),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    _partial("ix_job_ready", ["kind", "priority", "run_at_ms", "id"], "state = 'ready'")
    _partial("ix_job_live", ["state", "id"], "state <> 'done'")
    _partial("ix_job_done", ["finished_ms"], "state = 'done'")
    unfinished = "dedupe IS NOT NULL AND finished_ms IS NULL"
    _partial("uq_job_dedupe", ["tenant_id", "dedupe"], unfinished, unique=True)
    op.create_index("ix_job_kind_id", "job", ["kind", "id"])


def _partial(name: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, "job", columns, unique=unique, sqlite_where=where, postgresql_where=where)


def _schedule() -> None:
    op.create_table(
        "schedule",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("last_ms", sa.BigInteger()),
        sa.Column("next_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_schedule_tenant_id"),
        sa.PrimaryKeyConstraint("name", name="pk_schedule"),
    )
