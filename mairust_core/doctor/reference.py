"""Makes `docs/reference/doctor.md` from the findings there are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mairust_core.doctor.findings import LEVELS
from mairust_core.i18n import findings

_HEAD = """# Findings of doctor

<!-- Made by `python -m mairust_cli.generate`; a test keeps it fresh. -->

`mairust doctor` prints what is wrong, the worst first, and exits 1 when any of it is an **error**: mail is
refused, lost or open to others. A **warning** may become one; an **info** is worth knowing. Ids never change
their meaning. Where the texts below say …, doctor fills in paths and numbers.
"""


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(f"\n{paragraph}\n" for paragraph in _sections())


def _sections() -> Iterator[str]:
    texts = findings("en")
    for id_, level in LEVELS.items():
        what, why, mend = (re.sub(r"{\w+}", "…", text) for text in texts[id_])
        yield f"## {id_}"
        yield f"**{level}.** {what} {why}"
        yield f"What mends it: {mend}"
