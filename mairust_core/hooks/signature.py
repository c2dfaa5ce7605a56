"""How an HTTP plugin knows that a request is ours and fresh (R-SIG-1, rule G2, contract §4)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

TIMESTAMP = "X-MaiRust-Timestamp"
DELIVERY = "X-MaiRust-Delivery"
PLUGIN = "X-MaiRust-Plugin-Id"
SIGNATURE = "X-MaiRust-Signature"
PREVIOUS = "X-MaiRust-Signature-Previous"
MAX_AGE_S = 300
"""Receivers refuse a timestamp that is further off."""


def sign(secret: str, timestamp: str, delivery: str, plugin: str, body: bytes) -> str:
    """The value of a signature header: HMAC-SHA256 under the secret as it was shown, in UTF-8."""
    head = f"{timestamp}\n{delivery}\n{plugin}\n".encode()
    return "sha256=" + hmac.new(secret.encode(), head + body, hashlib.sha256).hexdigest()


def headers(
    secrets: Sequence[str], timestamp_s: int, delivery: str, plugin: str, body: bytes
) -> dict[str, str]:
    """What goes with a request; `secrets` are the one in force and, while it is good, the one before."""
    timestamp = str(timestamp_s)
    found = {TIMESTAMP: timestamp, DELIVERY: delivery, PLUGIN: plugin}
    for name, secret in zip((SIGNATURE, PREVIOUS), secrets, strict=False):
        found[name] = sign(secret, timestamp, delivery, plugin, body)
    return found
