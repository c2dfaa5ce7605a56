"""What `doctor` finds: each with the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: mail is refused, lost or open to others; it soon may be; it is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong: `id` is stable, the rest is told in a language."""

    id: str
    level: Level
    what: str
    why: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Everything that was found, the worst first; empty when all is well."""

    findings: tuple[Finding, ...]

    @property
    def is_bad(self) -> bool:
        """True when any of it is an error, or of a level that is not known here."""
        return any(finding.level not in (Level.WARNING, Level.INFO) for finding in self.findings)
