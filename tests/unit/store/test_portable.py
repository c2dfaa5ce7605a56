"""The registry of tables in backups: complete, stable, and open to columns that come later."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, MetaData, Table, Text

from mairust_core.store.portable import (
    ACCOUNT,
    ACCOUNT_STATE,
    CHUNK_BITS,
    EXCLUDED,
    SITE,
    Portable,
    by_name,
    is_cut,
    read_sections,
)
from mairust_core.store.tables import metadata


def test_rule_i3_every_table_is_in_a_backup_or_left_out_for_a_reason() -> None:
    """Who adds a table decides that in store/portable.py."""
    registered = set(by_name())
    assert registered | EXCLUDED.keys() == metadata.tables.keys(), (
        "register the table in store/portable.py (SITE, ACCOUNT_STATE, ACCOUNT), or exclude it with why"
    )
    assert registered & EXCLUDED.keys() == set()
    assert all(EXCLUDED.values())


@pytest.mark.parametrize("one", [*SITE, *ACCOUNT_STATE, *ACCOUNT], ids=lambda one: one.name)
def test_a_registration_fits_its_table(one: Portable) -> None:
    """Its columns are there, its order is a key, and it is restored after what it refers to."""
    assert set(one.order) <= set(one.columns)
    assert one.cut in ("", *one.columns)
    table = one.table
    keys = [{column.name for column in table.primary_key.columns}]
    keys += [{column.name} for column in table.columns if column.unique]
    assert any(key <= {*one.order, "account_id"} for key in keys)
    order = [other.name for other in (*SITE[:2], *ACCOUNT_STATE, *ACCOUNT, *SITE[2:])]
    for foreign in one.table.foreign_keys:
        target = foreign.column.table.name
        if target in order and target != one.name:
            assert order.index(target) < order.index(one.name)


@pytest.mark.parametrize("one", ACCOUNT, ids=lambda one: one.name)
def test_rows_of_an_account_are_asked_for_by_account(one: Portable) -> None:
    """One statement for each table, of one account only."""
    assert one.select.count("?") == 1
    assert "account_id = ?" in one.select


def test_rows_survive_their_portable_form() -> None:
    """Bytes, truth, numbers beyond 2^53, texts with line ends, and nothing at all."""
    table = Table(
        "t", MetaData(),
        Column("id", BigInteger, primary_key=True), Column("data", LargeBinary), Column("text", Text),
        Column("yes", Boolean),
    )  # fmt: skip
    one = Portable(table=table, order=("id",))
    rows = [(1, b"\x00\xff", "a\n\u2028日本", True), ((1 << 63) - 1, None, None, None), (3, b"", "", False)]
    ((name, columns, found),) = read_sections(one.section(rows))
    assert name == "t"
    read = one.reader(columns)
    assert [read(row) for row in found] == rows
    assert one.section([(1, b"x", "t", 1)]) == one.section([(1, b"x", "t", True)]), "SQLite says 1"


def test_a_column_that_an_older_backup_lacks_gets_its_default() -> None:
    """Given here, by the database, or nothing; without any of them somebody has to decide."""
    table = Table(
        "t", MetaData(),
        Column("id", BigInteger, primary_key=True),
        Column("floor", BigInteger, nullable=False, server_default="7"),
        Column("note", Text), Column("kind", Text, nullable=False), Column("hard", Text, nullable=False),
    )  # fmt: skip
    given = Portable(table=table, order=("id",), defaults={"kind": "k", "hard": "h"})
    assert given.reader(["id", "gone"])([5, "x"]) == (5, 7, None, "k", "h")
    with pytest.raises(LookupError, match=r"t\.hard"):
        Portable(table=table, order=("id",), defaults={"kind": "k"}).reader(["id"])


def test_the_audit_of_an_older_backup_comes_back_without_details() -> None:
    """A backup of before has no such column; its entries are as they were there."""
    columns = ["id", "tenant_id", "at_ms", "actor", "operation", "subject"]
    row = [7, 1, 5, "token:x", "accounts.edit", "ann@example.org"]
    assert by_name()["audit"].reader(columns)(row) == (*row, None)


def test_chunks_are_cut_by_keys_alone() -> None:
    """About one key in 1024, numbers and texts alike; so a row more moves no other cut."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    count = 100_000
    numbers = [chance.randrange(1 << 62) for _ in range(count)]
    for keys in (numbers, range(10**9, 10**9 + count), [f"user{n}@x" for n in numbers]):
        cuts = sum(map(is_cut, keys))
        expected = count >> CHUNK_BITS
        assert expected / 2 < cuts < expected * 2
