"""Alembic, driven without an ini file."""

from __future__ import annotations

import logging

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from mairust_core.store import migrations
from mairust_core.store.tables import alembic_version

logging.getLogger("alembic").setLevel(logging.WARNING)


def config(tx: Connection | None = None) -> Config:
    """What Alembic is told: where the scripts are, and the transaction that `env.py` joins."""
    made = Config()
    made.set_main_option("script_location", str(migrations.HERE).replace("%", "%%"))
    made.attributes["connection"] = tx
    return made


def run(tx: Connection, target: str) -> None:
    """Migrate to `target` inside the caller's transaction."""
    alembic_version.create(tx, checkfirst=True)  # ours: the one Alembic would make differs
    command.upgrade(config(tx), target)
