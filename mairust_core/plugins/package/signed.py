"""Documents under the signature of a root: certificates, revocation lists, licences.

`{"KIND": {…}, "signature": base64}`, signed over the canonical form of what stands under KIND, which names
its root. A root key signs listings too: no document of one kind can be read as another, because each has its
own keys and none has others.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mairust_core.errors import Invalid
from mairust_core.model.trust import KEY_ID
from mairust_core.plugins.package import documents, keys
from mairust_core.plugins.package.documents import Document

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE = "signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What was signed, by which root as it says itself, and the signature, which is not checked yet."""

    kind: str
    root: str
    body: bytes
    signature: bytes

    def require_root(self, roots: Mapping[str, bytes]) -> None:
        """Require that its root is one of these, by id, and signed it; raises `Invalid`."""
        if self.root not in roots:
            raise Invalid("package", "package_root_unknown", kind=self.kind, key=self.root)
        if not keys.is_signed(self.signature, self.body, roots[self.root]):
            raise Invalid("package", "package_root_signature", kind=self.kind, key=self.root)


def read(outer: Document, kind: str) -> tuple[Document, Signed]:
    """What is signed, and the signature; the reader of the first closes it. Raises `Invalid`."""
    body = outer.table(kind)
    signature = outer.octets(SIGNATURE, keys.SIGNATURE_BYTES)
    outer.close()
    body.format()
    root = body.text("root", KEY_ID)
    try:
        octets = documents.canonical(body.values)
    except UnicodeEncodeError:  # half a character, which JSON can spell and UTF-8 cannot (RFC 7493 §2.1)
        outer.wrong(kind)
    return body, Signed(kind=kind, root=root, body=octets, signature=signature)


def sign(kind: str, values: Mapping[str, Any], root: Ed25519PrivateKey) -> bytes:
    """The document of some values, signed by a root."""
    told = {**values, "format": documents.FORMAT, "root": keys.key_id(keys.public_of(root))}
    signature = base64.b64encode(root.sign(documents.canonical(told))).decode()
    return documents.written({kind: told, SIGNATURE: signature})
