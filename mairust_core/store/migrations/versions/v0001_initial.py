"""The schema of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table, the default tenant and the first generation."""
    for create in (
        _blob,
        _generation,
        _pipe_delivery,
        _process_number,
        _tenant,
        _thread_key,
        _trace,
        _audit,
        _content,
        _domain,
        _account,
        _message,
        _address,
        _mailbox,
        _placement,
        _token,
        _alias_target,
    ):
        create()
    op.execute("INSERT INTO tenant (id, name) VALUES (1, 'default')")
    op.execute("INSERT INTO generation (id, value) VALUES (1, 1)")


def _blob() -> None:
    op.create_table(
        "blob",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("condemned_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("sha256", "tenant_id", name="pk_blob"),
    )
    op.create_index(
        "ix_blob_condemned_ms",
        "blob",
        ["condemned_ms"],
        sqlite_where=sa.text("condemned_ms IS NOT NULL"),
        postgresql_where=sa.text("condemned_ms IS NOT NULL"),
    )


def _generation() -> None:
    op.create_table(
        "generation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generation"),
    )


def _pipe_delivery() -> None:
    op.create_table(
        "pipe_delivery",
        sa.Column("account_id", BIG, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "sha256", name="pk_pipe_delivery"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_pipe_delivery_at_ms", "pipe_delivery", ["at_ms"])


def _process_number() -> None:
    op.create_table(
        "process_number",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("leased_ms", sa.BigInteger()),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_process_number"),
    )


def _tenant() -> None:
    op.create_table(
        "tenant",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenant"),
        sa.UniqueConstraint("name", name="uq_tenant_name"),
    )


def _thread_key() -> None:
    op.create_table(
        "thread_key",
        sa.Column("account_id", BIG, autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("thread_id", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key", name="pk_thread_key"),
        sqlite_with_rowid=False,
    )


def _trace() -> None:
    op.create_table(
        "trace",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("road", sa.Text(), nullable=False),
        sa.Column("client_ip", sa.Text()),
        sa.Column("helo", sa.Text(), nullable=False),
        sa.Column("mail_from", sa.Text(), nullable=False),
        sa.Column("rcpt_to", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trace"),
    )
    op.create_index("ix_trace_at_ms", "trace", ["at_ms"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_audit_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at_ms", "audit", ["at_ms"])


def _content() -> None:
    op.create_table(
        "content",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("crlf_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("header_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("eol", sa.Text(), nullable=False),
        sa.Column("described", sa.Boolean(), nullable=False),
        sa.Column("date_ms", sa.BigInteger()),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("snippet", sa.Text(), nullable=False),
        sa.Column("has_attachments", sa.Boolean(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("bodystructure", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sha256", "tenant_id"],
            ["blob.sha256", "blob.tenant_id"],
            name="fk_content_sha256_tenant_id",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("sha256", "tenant_id", name="pk_content"),
    )


def _domain() -> None:
    op.create_table(
        "domain",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_domain_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_domain"),
        sa.UniqueConstraint("name", name="uq_domain_name"),
    )


def _account() -> None:
    op.create_table(
        "account",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("domain_id", BIG, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text()),
        sa.Column("quota_bytes", sa.BigInteger()),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("removed_ms", sa.BigInteger()),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name="fk_account_domain_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_account_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
    )
    op.create_index("ix_account_domain_id", "account", ["domain_id"])


def _message() -> None:
    op.create_table(
        "message",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("thread_id", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("trace_headers", sa.LargeBinary(), nullable=False),
        sa.Column("hidden", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["sha256", "tenant_id"],
            ["content.sha256", "content.tenant_id"],
            name="fk_message_sha256_tenant_id",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
    )
    op.create_index("ix_message_account_id", "message", ["account_id"])
    op.create_index("ix_message_sha256_tenant_id", "message", ["sha256", "tenant_id"])


def _address() -> None:
    op.create_table(
        "address",
        sa.Column("folded", sa.Text(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("domain_id", BIG, nullable=False),
        sa.Column("display", sa.Text(), nullable=False),
        sa.Column("account_id", BIG),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_address_account_id"),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name="fk_address_domain_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_address_tenant_id"),
        sa.PrimaryKeyConstraint("folded", name="pk_address"),
        sa.UniqueConstraint("id", name="uq_address_id"),
    )
    op.create_index("ix_address_account_id", "address", ["account_id"])
    op.create_index("ix_address_domain_id", "address", ["domain_id"])


def _mailbox() -> None:
    op.create_table(
        "mailbox",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("uidnext", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("unseen", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_mailbox_account_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_mailbox_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_mailbox"),
        sa.UniqueConstraint("account_id", "name", name="uq_mailbox_account_id_name"),
    )


def _placement() -> None:
    op.create_table(
        "placement",
        sa.Column("mailbox_id", BIG, nullable=False),
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("message_id", BIG, nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("keywords", sa.Text(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_placement_message_id"),
        sa.PrimaryKeyConstraint("mailbox_id", "uid", name="pk_placement"),
        sa.UniqueConstraint("message_id", name="uq_placement_message_id"),
    )
    op.create_index("ix_placement_account_page", "placement", ["account_id", "received_ms", "message_id"])
    op.create_index("ix_placement_mailbox_page", "placement", ["mailbox_id", "received_ms", "message_id"])


def _token() -> None:
    op.create_table(
        "token",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("reach", sa.Text(), nullable=False),
        sa.Column("domain_id", BIG),
        sa.Column("account_id", BIG),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger()),
        sa.Column("revoked_ms", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_token_account_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name="fk_token_domain_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_token_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_token"),
    )


def _alias_target() -> None:
    op.create_table(
        "alias_target",
        sa.Column("address_id", BIG, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("target_folded", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name="fk_alias_target_address_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_alias_target_tenant_id"),
        sa.PrimaryKeyConstraint("address_id", "position", name="pk_alias_target"),
    )
    op.create_index("ix_alias_target_target_folded", "alias_target", ["target_folded"])
