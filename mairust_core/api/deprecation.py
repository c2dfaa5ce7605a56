"""What says that an operation will go: headers on every answer of its route, also on a refusal.

Deprecation is that of RFC 9745, Sunset that of RFC 8594, and Link leads to what to use instead (RFC 8288).
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from email.utils import format_datetime

from mairust_core.api.problems import REFERENCE
from mairust_core.operations import Operation


def headers_of(op: Operation) -> dict[str, str]:
    """The headers of an operation's answers; none while nothing is said against it."""
    going = op.deprecated
    if going is None:
        return {}
    since = datetime.combine(going.since, time(), UTC)
    sunset = datetime.combine(going.sunset, time(), UTC)
    successor = f"{REFERENCE}#{going.successor.replace('.', '')}"
    return {
        "deprecation": f"@{int(since.timestamp())}",
        "sunset": format_datetime(sunset, usegmt=True),
        "link": f'<{REFERENCE}#{op.id.replace(".", "")}>; rel="deprecation", '
        f'<{successor}>; rel="successor-version"',
    }
