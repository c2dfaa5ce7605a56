"""Search: texts by content, the index and its queue; every message that is there is queued."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables of search and queue all mail, so that no search misses any."""
    _content_text()
    _index_queue()
    _index_segment()
    _index_document()
    _index_posting()
    _index_state()
    op.execute(
        "INSERT INTO index_queue (account_id, received_ms, message_id, tenant_id)"
        " SELECT account_id, received_ms, id, tenant_id FROM message"
    )


def _content_text() -> None:
    op.create_table(
        "content_text",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("extent", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "tenant_id", name="pk_content_text"),
    )


def _index_queue() -> None:
    op.create_table(
        "index_queue",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "received_ms", "message_id", name="pk_index_queue"),
        sqlite_with_rowid=False,
    )


def _index_segment() -> None:
    op.create_table(
        "index_segment",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column("newest_ms", sa.BigInteger(), nullable=False),
        sa.Column("newest_id", sa.BigInteger(), nullable=False),
        sa.Column("oldest_ms", sa.BigInteger(), nullable=False),
        sa.Column("bucket_bits", sa.Integer(), nullable=False),
        sa.Column("text_bytes", sa.BigInteger(), nullable=False),
        sa.Column("index_bytes", sa.BigInteger(), nullable=False),
        sa.Column("partial", sa.LargeBinary(), nullable=False),
        sa.Column("stale_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_index_segment"),
    )
    op.create_index("ix_index_segment_account_id", "index_segment", ["account_id"])


def _index_document() -> None:
    op.create_table(
        "index_document",
        sa.Column("segment_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment_id", "position", name="pk_index_document"),
        sqlite_with_rowid=False,
    )


def _index_posting() -> None:
    op.create_table(
        "index_posting",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_index_posting"),
    )


def _index_state() -> None:
    op.create_table(
        "index_state",
        sa.Column("tenant_id", BIG, autoincrement=False, nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("filled_to", sa.BigInteger(), nullable=False),
        sa.Column("texts_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_index_state"),
    )
