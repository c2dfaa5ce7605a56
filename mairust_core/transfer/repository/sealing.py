"""Encryption of a repository, in the age format (https://age-encryption.org/v1).

Every file but `config` is encrypted to X25519 recipients. With a passphrase the repository has a key of its
own: `key.age` holds it, encrypted with the passphrase, so that the slow part is done once in a run. Without
the identity a repository can be written to, not read: then what is known of it is kept beside the site.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

from mairust_core.errors import Damaged, Forbidden, Usage

SUFFIX = ".age"


class Sealing(Protocol):
    """How the files of a repository are written and read."""

    suffix: str
    """What their names end with."""

    @property
    def readable(self) -> bool:
        """Whether they can be read here."""
        ...

    identities: tuple[str, ...]
    """The secret keys that read them."""

    def seal(self, source: IO[bytes], target: Any) -> None:
        """Copy a file into its stored form."""
        ...

    def open(self, source: IO[bytes], target: Any, name: str) -> None:
        """Copy a stored file into the clear; raises `Forbidden`, `Damaged`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What a person gave to read or write an encrypted repository."""

    passphrase: str | None = None
    recipients: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()


class Plain:
    """No encryption."""

    suffix = ""
    readable = True
    identities: tuple[str, ...] = ()

    def seal(self, source: IO[bytes], target: Any) -> None:
        """As it is."""
        while chunk := source.read(1 << 20):
            target.write(chunk)

    def open(self, source: IO[bytes], target: Any, name: str) -> None:
        """As it is."""
        self.seal(source, target)


class Age:
    """Encryption to recipients; reading needs one of their identities."""

    suffix = SUFFIX

    def __init__(self, recipients: Sequence[str], identities: Sequence[str] = ()) -> None:
        import pyrage

        self._error = pyrage.DecryptError
        self._encrypt, self._decrypt = pyrage.encrypt_io, pyrage.decrypt_io
        self._recipients = [_recipient(one) for one in recipients]
        self.identities = tuple(identities)
        self._identities = [_identity(one) for one in identities]
        known = {str(one) for one in self._recipients}
        if self._identities and known.isdisjoint(str(one.to_public()) for one in self._identities):
            raise Forbidden("backup_key")

    @property
    def readable(self) -> bool:
        """True with an identity."""
        return bool(self._identities)

    def seal(self, source: IO[bytes], target: Any) -> None:
        """Encrypt a stream."""
        self._encrypt(source, target, self._recipients)

    def open(self, source: IO[bytes], target: Any, name: str) -> None:
        """Decrypt a stream; what it wrote before it raised is to be thrown away."""
        if not self.readable:
            raise Forbidden("backup_sealed")
        try:
            self._decrypt(source, target, self._identities)
        except (self._error, OSError) as error:
            raise Damaged("repository", name=name, why=str(error)) from error


def new_identity() -> tuple[str, str]:
    """A new X25519 identity and its recipient."""
    import pyrage

    made = pyrage.x25519.Identity.generate()
    return str(made), str(made.to_public())


def lock_identity(identity: str, passphrase: str) -> bytes:
    """An identity encrypted with a passphrase."""
    import pyrage

    return bytes(pyrage.passphrase.encrypt(identity.encode(), passphrase))


def unlock_identity(data: bytes, passphrase: str) -> str:
    """The identity; raises `Forbidden` for another passphrase."""
    import pyrage

    try:
        return bytes(pyrage.passphrase.decrypt(data, passphrase)).decode()
    except pyrage.DecryptError as error:
        raise Forbidden("backup_key") from error


def sealed_bytes(sealing: Sealing, data: bytes) -> bytes:
    """A small file in its stored form."""
    target = io.BytesIO()
    sealing.seal(io.BytesIO(data), target)
    return target.getvalue()


def opened_bytes(sealing: Sealing, data: bytes, name: str) -> bytes:
    """A small file in the clear."""
    target = io.BytesIO()
    sealing.open(io.BytesIO(data), target, name)
    return target.getvalue()


def _recipient(text: str) -> Any:
    import pyrage

    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise Usage("recipient", recipient=text[:80]) from error


def _identity(text: str) -> Any:
    import pyrage

    try:
        return pyrage.x25519.Identity.from_str(text.strip())
    except pyrage.IdentityError as error:
        raise Usage("identity") from error
