"""What the declarations of tables have in common; times are milliseconds since 1970 UTC."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, Row, Select

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

AnyRow = Row[*tuple[Any, ...]]
AnySelect = Select[*tuple[Any, ...]]

# In SQLite only an INTEGER primary key is the row id itself; BIGINT would be a second index.
BigId = BigInteger().with_variant(Integer(), "sqlite")


def of_tenant(**more: Any) -> Column[int]:
    """Whose row it is (rule A3)."""
    return Column("tenant_id", BigId, ForeignKey("tenant.id"), nullable=False, **more)


def owned_by(name: str, **more: Any) -> Column[int]:
    """A tenant, account or mailbox named by a row of every mail, without a foreign key.

    The transaction that writes it holds the account's and the mailbox's row by its UPDATE (rule A2), so a
    key would prove nothing more, and its share locks would make every UPDATE of a busy account a multixact.
    """
    return Column(name, BigId, nullable=False, **more)
