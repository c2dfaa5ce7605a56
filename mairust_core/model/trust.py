"""Whom a site trusts to sign plugins, what they took back, and who stands for a package (rule G5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from mairust_core.errors import Invalid
from mairust_core.model.forms import request

MAX_NAME_LENGTH = 200
MAX_KEY_LENGTH = 4096
_PRIVATE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")
KEY_ID = re.compile(r"[0-9a-f]{16}")
"""The id of a key: the first octets of the SHA-256 of its public half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustKey:
    """A root key that is trusted: `id` stands for it, `public_key` is its 32 octets in hex.

    `serial` is that of the newest list of revocations of this root, None before the first, and `issued_at`
    its date. `confirmed_at` is when somebody said of it that there is no newer one; `restored_at` is set
    while the list is that of a backup, and neither was imported nor confirmed since.
    """

    id: str
    name: str
    public_key: str
    serial: int | None
    added_by: str
    added_at: datetime
    issued_at: datetime | None = None
    confirmed_at: datetime | None = None
    restored_at: datetime | None = None


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrustKey:
    """A root key to be trusted; `public_key` is the text of its `.pub` file.

    A private key is refused where it was read, so that a slip of the hand sends it to no server.
    `although_revoked` has one trusted that another trusted root took back.
    """

    name: str
    public_key: str
    although_revoked: bool = False

    def __post_init__(self) -> None:
        if not self.name.isprintable() or not 1 <= len(self.name.strip()) <= MAX_NAME_LENGTH:
            raise Invalid("name", "not_a_line", limit=MAX_NAME_LENGTH)
        if KEY_ID.fullmatch(self.name.strip()):
            raise Invalid("name", "trust_name_id", name=self.name.strip())
        if len(self.public_key) > MAX_KEY_LENGTH:
            raise Invalid("public_key", "too_long", limit=MAX_KEY_LENGTH)
        if _PRIVATE.search(self.public_key):
            raise Invalid("public_key", "key_is_private", where="public_key")


class RevocationKind(StrEnum):
    """What was taken back."""

    KEY = "key"
    """Every package that this key signed, as marketplace or as developer."""
    MANIFEST = "manifest"
    """One package, by the SHA-256 of its manifest.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What a root took back: the id of a key, or the SHA-256 of a manifest."""

    kind: RevocationKind
    value: str
    root: str
    taken_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationsTaken:
    """What a list of revocations came to; `blocked` are the plugins that it stopped.

    `already_disabled` are those that it names and that somebody had disabled: they stay so. `released` is
    what the list before named and this one does not: keys and packages that count again.
    """

    root: str
    serial: int
    keys: int
    manifests: int
    blocked: tuple[str, ...]
    released: tuple[str, ...] = ()
    already_disabled: tuple[str, ...] = ()


class SignedAs(StrEnum):
    """In which capacity somebody signed a package."""

    DEVELOPER = "developer"
    MARKETPLACE = "marketplace"

    @property
    def path(self) -> str:
        """Where the signature lies in a package."""
        return f"signatures/{self.value}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature of a package that verifies.

    `root` is the trusted key that it leads to, `root_name` what that is called here; both None for a
    developer's, which is known by its key alone. `not_after` is the end of the key's certificate.
    """

    signed_as: SignedAs
    key_id: str
    root: str | None = None
    root_name: str | None = None
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """Who may use a plugin, and until when, as a root wrote it down."""

    holder: str
    not_after: datetime | None
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """Who stands for a package, by their key ids; all None for one that nobody signed.

    `root` is trusted here; `key` signed the package: the root itself, or a key that it certified until
    `not_after_ms`.
    """

    root: str | None = None
    key: str | None = None
    not_after_ms: int | None = None
    developer: str | None = None
    developer_key: str | None = None
    """The whole public key of `developer`, in hex: an id of 64 bits is for people."""
    licence_holder: str | None = None
    licence_root: str | None = None
    licence_ends_ms: int | None = None

    @property
    def is_signed(self) -> bool:
        """Whether a trusted root stands for it."""
        return self.root is not None

    @property
    def keys(self) -> frozenset[str]:
        """Every key that signed it, or certified one that did."""
        found = (self.root, self.key, self.developer)
        return frozenset(one for one in found if one is not None)

    def is_renewed_by(self, new: Signers) -> bool:
        """Whether the same hands signed the same again: whose root and developer are those of before."""
        return (self.root, self.developer_key) == (new.root, new.developer_key)

    def renewed(self, new: Signers) -> Signers:
        """With another key of the same root, and the certificate and the licence that end later."""
        found = self
        if new.key != self.key or _later(new.not_after_ms, self.not_after_ms):
            found = replace(found, key=new.key, not_after_ms=new.not_after_ms)
        if new.licence_root is not None and (
            self.licence_root is None or _later(new.licence_ends_ms, self.licence_ends_ms)
        ):
            found = replace(
                found, licence_holder=new.licence_holder, licence_root=new.licence_root,
                licence_ends_ms=new.licence_ends_ms,
            )  # fmt: skip
        return found

    def signatures(self, names: Mapping[str, str]) -> tuple[Signature, ...]:
        """As they are shown, with what roots are called here."""
        found = []
        if self.key is not None:
            found.append(
                Signature(
                    signed_as=SignedAs.MARKETPLACE,
                    key_id=self.key,
                    root=self.root,
                    root_name=names.get(self.root or ""),
                    not_after=_moment(self.not_after_ms),
                )
            )
        if self.developer is not None:
            found.append(Signature(signed_as=SignedAs.DEVELOPER, key_id=self.developer))
        return tuple(found)

    @property
    def licence(self) -> Licence | None:
        """The licence that came with it."""
        if self.licence_root is None:
            return None
        ends = _moment(self.licence_ends_ms)
        return Licence(holder=self.licence_holder or "", not_after=ends, root=self.licence_root)


def _later(new: int | None, old: int | None) -> bool:
    """Whether a time ends after another; None has no end."""
    return old is not None and (new is None or new > old)


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
