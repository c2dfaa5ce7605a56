"""Certificates: a root says that another key may sign packages, from when and until when (rule G5)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mairust_core.errors import Invalid
from mairust_core.model.package import WrittenCertificate
from mairust_core.model.trust import KEY_ID
from mairust_core.plugins.package import documents, keys, signed
from mairust_core.plugins.package.documents import Document, spelt
from mairust_core.plugins.package.signed import Signed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KIND = "certificate"
MAX_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A key, its time, both ends within it, and whose word this is."""

    key_id: str
    public_key: bytes
    not_before: datetime
    not_after: datetime
    signed: Signed

    @property
    def root(self) -> str:
        """The id of the root that signed it, as it says itself."""
        return self.signed.root

    def require(self, roots: Mapping[str, bytes], now: datetime) -> None:
        """Require the word of one of these roots, and its time; raises `Invalid`."""
        self.signed.require_root(roots)
        if now < self.not_before:
            raise Invalid("package", "package_certificate_early", key=self.key_id, at=spelt(self.not_before))
        if now > self.not_after:
            raise Invalid("package", "package_certificate_expired", key=self.key_id, at=spelt(self.not_after))


def read(data: bytes, name: str = KIND) -> Certificate:
    """The certificate in a file of its own; raises `Invalid`."""
    return of(documents.read(data, name), name)


def of(outer: Document, name: str) -> Certificate:
    """The certificate that a document is."""
    body, mark = signed.read(outer, KIND)
    found = Certificate(
        key_id=body.text("key_id", KEY_ID),
        public_key=body.octets("public_key", keys.PUBLIC_BYTES),
        not_before=body.time("not_before"),
        not_after=body.time("not_after"),
        signed=mark,
    )
    body.close()
    if found.key_id != keys.key_id(found.public_key):
        raise Invalid("package", "package_key_id", path=name, key=found.key_id)
    if found.not_after < found.not_before:
        body.wrong("not_after")
    return found


def told(data: bytes, file: str) -> WrittenCertificate:
    """What a certificate says that was written to a file."""
    made = read(data)
    return WrittenCertificate(
        file=file,
        key_id=made.key_id,
        root=made.root,
        not_before=made.not_before,
        not_after=made.not_after,
    )


def write(public: bytes, not_before: datetime, not_after: datetime, root: Ed25519PrivateKey) -> bytes:
    """A certificate for a public key; raises `Invalid` when it would end before it begins."""
    if not_after < not_before:
        raise Invalid("not_after", "key_never_valid", at=spelt(not_before))
    values = {
        "key_id": keys.key_id(public),
        "public_key": base64.b64encode(public).decode(),
        "not_before": spelt(not_before),
        "not_after": spelt(not_after),
    }
    return signed.sign(KIND, values, root)
