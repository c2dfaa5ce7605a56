"""Signatures over a listing: by whoever made the package, and by a marketplace that looked at it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mairust_core.errors import Invalid
from mairust_core.model.trust import KEY_ID
from mairust_core.plugins.package import certificates, documents, keys
from mairust_core.plugins.package.certificates import Certificate
from mairust_core.plugins.package.documents import Document

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM = "ed25519"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature, with the key it says it is by, the certificate of that key, or neither.

    A key that came along with a package proves that the signature is whole, never whose it is.
    """

    key_id: str
    signature: bytes
    public_key: bytes | None = None
    certificate: Certificate | None = None


def read(data: bytes, name: str) -> Signature:
    """The signature in a file of a package; raises `Invalid`."""
    top = documents.read(data, name)
    if top.text("algorithm") != ALGORITHM:
        raise Invalid("package", "package_algorithm", path=name, known=ALGORITHM)
    if top.has("developer"):
        raise Invalid("package", "package_signed_before", path=name)
    found = Signature(
        key_id=top.text("key_id", KEY_ID),
        signature=top.octets("signature", keys.SIGNATURE_BYTES),
        public_key=top.octets("public_key", keys.PUBLIC_BYTES) if top.has("public_key") else None,
        certificate=_certificate(top, name),
    )
    top.close()
    return _with_its_key(found, name)


def _certificate(top: Document, name: str) -> Certificate | None:
    return certificates.of(top.table("certificate"), name) if top.has("certificate") else None


def _with_its_key(found: Signature, name: str) -> Signature:
    """With the key of its certificate, if it brings none itself; both are the key that its id names."""
    certified = found.certificate.public_key if found.certificate else None
    public = found.public_key or certified
    wrong = public is not None and keys.key_id(public) != found.key_id
    if wrong or (certified is not None and certified != public):
        raise Invalid("package", "package_key_id", path=name, key=found.key_id)
    return replace(found, public_key=public)


def verify(signature: Signature, listing: bytes, public_key: bytes) -> None:
    """Require that the holder of this key signed exactly this listing; raises `Invalid`."""
    if keys.key_id(public_key) != signature.key_id or (signature.public_key or public_key) != public_key:
        raise Invalid("package", "package_other_key", key=signature.key_id)
    if not keys.is_signed(signature.signature, listing, public_key):
        raise Invalid("package", "package_signature", key=signature.key_id)


def write(listing: bytes, private: Ed25519PrivateKey, certificate: bytes | None = None) -> bytes:
    """The signature file of a listing; raises `Invalid` for the certificate of another key."""
    public = keys.public_of(private)
    told = {
        "key_id": keys.key_id(public),
        "algorithm": ALGORITHM,
        "signature": base64.b64encode(private.sign(listing)).decode(),
        "public_key": base64.b64encode(public).decode(),
    }
    if certificate is None:
        return documents.written(told)
    found = certificates.read(certificate)
    if found.public_key != public:
        raise Invalid("certificate", "key_other_certificate", key=told["key_id"], certified=found.key_id)
    return documents.written({**told, "certificate": documents.read(certificate, "certificate").values})
