"""Packs as a client sends them to put mail back."""

from __future__ import annotations

import json
from io import BytesIO

from mairust_core.operations import BytesIn
from mairust_core.transfer.repository.packs import Builder, Kind


def pack_for_nobody(account: str) -> BytesIn:
    """A pack that brings an account nothing."""
    file = BytesIO()
    builder = Builder(file)
    builder.add(Kind.ROWS, json.dumps({"account": {"address": account}, "messages": []}).encode())
    builder.finish()
    return BytesIn(chunks=[file.getvalue()])
