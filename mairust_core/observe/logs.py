"""Log lines on standard error, as text or JSON; never mail, never secrets (trap A3)."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str, shape: str) -> None:
    """Send what is logged to standard error: `level` and above, as `text` or `json` lines.

    What the libraries log is among it, from warnings on, in the same form.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if shape == "json" else logging.Formatter(_TEXT))
    ours = logging.getLogger("mairust")
    ours.handlers = [handler]
    ours.setLevel(level.upper())
    ours.propagate = False
    logging.getLogger().addHandler(handler)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # what it ignores of a lost connection we tell
