"""Licences: a root says who may use a plugin, and until when; read without a network (rule G5).

A licence lies in its package as `signatures/license.json`, made for one holder after the package was signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mairust_core.errors import Invalid
from mairust_core.model.package import WrittenLicence
from mairust_core.plugins.package import documents, signed
from mairust_core.plugins.package.documents import spelt
from mairust_core.plugins.package.signed import Signed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KIND = "license"
NAME = "signatures/license.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """Who may use which plugin, until when, the end within it."""

    plugin: str
    holder: str
    not_after: datetime
    signed: Signed

    @property
    def root(self) -> str:
        """The id of the root that signed it, as it says itself."""
        return self.signed.root

    def require(self, roots: Mapping[str, bytes], now: datetime) -> None:
        """Require the word of one of these roots, and its time; raises `Invalid`."""
        self.signed.require_root(roots)
        if now > self.not_after:
            raise Invalid("package", "package_licence_expired", holder=self.holder, at=spelt(self.not_after))


def read(data: bytes, name: str = NAME) -> Licence:
    """The licence in a file; raises `Invalid`."""
    body, mark = signed.read(documents.read(data, name), KIND)
    found = Licence(
        plugin=body.text("plugin"),
        holder=body.text("holder"),
        not_after=body.time("not_after"),
        signed=mark,
    )
    body.close()
    return found


def told(data: bytes, file: str) -> WrittenLicence:
    """What a licence says that was written to a file, or into a package."""
    made = read(data)
    return WrittenLicence(
        file=file, plugin=made.plugin, holder=made.holder, not_after=made.not_after, root=made.root
    )


def write(plugin: str, holder: str, not_after: datetime, root: Ed25519PrivateKey) -> bytes:
    """A licence for a holder."""
    values = {"plugin": plugin, "holder": holder, "not_after": spelt(not_after)}
    return signed.sign(KIND, values, root)
