"""Every line of the log has the form that configuration asked for, whoever says it."""

from __future__ import annotations

import json
import subprocess
import sys

SAY = """
import logging, sys
from mairust_core.observe.logs import set_up
set_up("info", sys.argv[1])
logging.getLogger("mairust.one").info("ours")
logging.getLogger("library").warning("a\\nwarning")
logging.getLogger("library").info("chatter")
logging.getLogger("psycopg").warning("error ignored terminating")
try:
    raise ValueError("why")
except ValueError:
    logging.getLogger("library").exception("trouble")
"""


def said(shape: str) -> str:
    """What a process says that logs so."""
    done = subprocess.run([sys.executable, "-c", SAY, shape], capture_output=True, text=True, check=True)
    return done.stderr


def test_what_libraries_log_is_json_where_the_log_is() -> None:
    """One line is one object; what nobody can use is left out."""
    lines = [json.loads(line) for line in said("json").splitlines()]
    assert [(one["logger"], one["level"], one["message"]) for one in lines] == [
        ("mairust.one", "info", "ours"),
        ("library", "warning", "a\nwarning"),
        ("library", "error", "trouble"),
    ]
    assert "ValueError: why" in lines[-1]["exception"]


def test_what_libraries_log_has_its_time_and_its_name() -> None:
    """As our own lines, each once."""
    text = said("text")
    assert text.count(" WARNING library: a") == text.count(" ERROR library: trouble") == 1
    assert text.count(" INFO mairust.one: ours") == 1
    assert "chatter" not in text
    assert "ignored" not in text
