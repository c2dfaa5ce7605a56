"""Packages, keys and what is said about them, as commands tell it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mairust_core.model.finding import Level

SUFFIX = ".mairust-plugin"
"""How the file of a package is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePlugin:
    """A plugin that was begun from a template; `files` are those that were written."""

    id: str
    directory: str
    template: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One thing that somebody should look at; `rule` is stable, `message` is told in a language."""

    rule: str
    level: Level
    path: str | None
    line: int | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Linted:
    """What was found in a plugin, the worst first.

    `powers` are why somebody should review it apart from others; empty when it has none of them.
    """

    id: str
    version: str
    separate_review: bool
    powers: tuple[str, ...]
    findings: tuple[LintFinding, ...]

    @property
    def worst(self) -> Level | None:
        """The level of the worst finding."""
        return self.findings[0].level if self.findings else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A package that was written; `digest` is what a revocation would name, sizes are bytes."""

    id: str
    version: str
    file: str
    digest: str
    files: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPackage:
    """A package that was signed: as whom, by which key, and which root certified that key."""

    id: str
    version: str
    file: str
    digest: str
    signed_as: str
    key_id: str
    root: str | None


class CheckState(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    ABSENT = "absent"
    """There is nothing to check."""
    OPEN = "open"
    """Nothing was given to check it against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of a package: the key that it was about, if any, and in a language what came of it."""

    name: str
    state: CheckState
    key_id: str | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPackage:
    """A sound package and what came of each check; `trusted` when a trusted key stands for it.

    `trust_of` is the site whose root keys were taken for trusted, null when none were, or keys were given.
    """

    id: str
    version: str
    digest: str
    files: int
    size: int
    trusted: bool
    trust_of: str | None
    checks: tuple[Check, ...]


class KeyKind(StrEnum):
    """Which half of a key a file holds."""

    PRIVATE = "private"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedKey:
    """A new key: its id and the files of its halves."""

    id: str
    private: str
    public: str
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """A file with a key; the id of a private one under a passphrase is not known without it."""

    file: str
    kind: KeyKind
    id: str | None
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCertificate:
    """A certificate that was written: for which key, by which root, and its time."""

    file: str
    key_id: str
    root: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenRevocations:
    """A revocation list that was written, with all that is in it."""

    file: str
    root: str
    serial: int
    issued_at: datetime
    keys: tuple[str, ...]
    manifests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLicence:
    """A licence that was written: into a file of its own, or into a package."""

    file: str
    plugin: str
    holder: str
    not_after: datetime
    root: str
