"""Trash, tombstones with their floor, and messages by tag."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ROWS = 1000


def upgrade() -> None:
    """Create the tables, and fill the one that follows from tags already there."""
    op.add_column("mailbox", sa.Column("floor", sa.BigInteger(), nullable=False, server_default="0"))
    _tombstone()
    _trash()
    _message_tag()
    _fill_message_tag()


def _tombstone() -> None:
    op.create_table(
        "tombstone",
        sa.Column("mailbox_id", BIG, autoincrement=False, nullable=False),
        sa.Column("modseq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "modseq", name="pk_tombstone"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tombstone_account_id", "tombstone", ["account_id"])
    op.create_index("ix_tombstone_at_ms", "tombstone", ["at_ms"])


def _trash() -> None:
    op.create_table(
        "trash",
        sa.Column("message_id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("mailbox_id", BIG, nullable=False),
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("keywords", sa.Text(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_trash_message_id"),
        sa.PrimaryKeyConstraint("message_id", name="pk_trash"),
    )
    op.create_index("ix_trash_account_page", "trash", ["account_id", "received_ms", "message_id"])
    op.create_index("ix_trash_deleted_ms", "trash", ["deleted_ms"])


def _message_tag() -> None:
    op.create_table(
        "message_tag",
        sa.Column("account_id", BIG, autoincrement=False, nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("message_id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name="fk_message_tag_message_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "tag", "received_ms", "message_id", name="pk_message_tag"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_message_tag_message_id", "message_tag", ["message_id"])


def _fill_message_tag() -> None:
    """Message by message: the two databases read JSON each in its own way, and tags are few."""
    columns = ("id", "tenant_id", "account_id", "received_ms", "tags")
    message = sa.table("message", *map(sa.column, columns))
    target = sa.table(
        "message_tag",
        *map(sa.column, ("account_id", "tag", "received_ms", "message_id", "tenant_id")),
    )
    found = op.get_bind().execute(sa.select(message).where(message.c.tags != "[]"))
    for rows in found.partitions(ROWS):
        op.bulk_insert(
            target,
            [
                {
                    "account_id": row.account_id,
                    "tag": tag,
                    "received_ms": row.received_ms,
                    "message_id": row.id,
                    "tenant_id": row.tenant_id,
                }
                for row in rows
                for tag in dict.fromkeys(json.loads(row.tags))
            ],
        )
