"""Signed packages for tests: roots, keys that they certified, developers, and what they took back."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mairust_core.app import Site
from mairust_core.model.plugin_forms import Installed
from mairust_core.model.principal import Principal
from mairust_core.model.trust import NewTrustKey, TrustKey
from mairust_core.operations import BytesIn
from mairust_core.plugins.package import certificates, keys, licences, listing, revocations, signatures
from mairust_core.plugins.package.reading import USUAL
from mairust_core.services.plugins import Plugins
from mairust_core.services.trust import Trust
from tests.support import archives
from tests.support.linking import SCRIPT, manifest_text, new_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TESTER = Principal.local("tester")


@dataclass(kw_only=True)
class Marketplace:
    """Somebody with a root key."""

    name: str = "Example"
    root: Ed25519PrivateKey = field(default_factory=keys.generate)

    @property
    def id(self) -> str:
        """The id of the root key."""
        return keys.key_id(keys.public_of(self.root))

    @property
    def public(self) -> str:
        """The text of its public file."""
        return keys.public_pem(keys.public_of(self.root)).decode()

    def trusted_on(self, site: Site) -> TrustKey:
        """Have a site trust it."""
        return site.service(Trust, TESTER).add(self.as_trusted())

    def as_trusted(self) -> NewTrustKey:
        """What a site is told of it."""
        return NewTrustKey(name=f"{self.name} {self.id}", public_key=self.public)

    def certify(self, key: Ed25519PrivateKey, *, after: float = -1, until: float = 365) -> bytes:
        """A certificate of a key, between these days from now."""
        now = datetime.now(UTC)
        return certificates.write(
            keys.public_of(key), now + timedelta(days=after), now + timedelta(days=until), self.root
        )

    def revoke(
        self, serial: int, key_ids: Iterable[str] = (), manifests: Iterable[str] = (), *, days: float = 0
    ) -> BytesIn:
        """A list of revocations, issued so many days from now."""
        issued_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
        found = revocations.write(serial, issued_at, key_ids, manifests, self.root)
        return BytesIn(chunks=(found,), size_bytes=len(found))

    def license(self, plugin: str, *, until: float = 365) -> bytes:
        """A licence for a plugin, until so many days from now."""
        return licences.write(plugin, "A Customer", datetime.now(UTC) + timedelta(days=until), self.root)


@dataclass(kw_only=True)
class Signing:
    """Who signs a package, if anybody."""

    key: Ed25519PrivateKey | None = None
    certificate: bytes | None = None
    developer: Ed25519PrivateKey | None = None
    named: bool = True
    """Whether manifest.json has the developer's key; packages of other programs need not."""
    licence: bytes | None = None


def made(text: str, signing: Signing | None = None, files: Mapping[str, bytes] | None = None) -> bytes:
    """The package of a plugin with this plugin.toml, signed; by hand, so that it may be wrong."""
    by = signing or Signing()
    told = tomllib.loads(text)
    whole = {"plugin.toml": text.encode(), "plugin.sh": SCRIPT.encode(), **(files or {})}
    listed = archives.listing(whole, id=told["id"], version=told["version"])
    if by.developer is not None and by.named:
        listed = listing.naming(listed, keys.public_of(by.developer), USUAL)
    marks = {}
    if by.key is not None:
        marks["marketplace"] = signatures.write(listed, by.key, by.certificate)
    if by.developer is not None:
        marks["developer"] = signatures.write(listed, by.developer)
    if by.licence is not None:
        marks["license"] = by.licence
    more = [archives.Entry(name=f"signatures/{name}.json", data=data) for name, data in marks.items()]
    return archives.package(whole, listed, more).getvalue()


def body(data: bytes) -> BytesIn:
    """A package as an operation takes it."""
    return BytesIn(chunks=(data,), size_bytes=len(data))


def install(site: Site, data: bytes) -> Installed:
    """Have a site take in a package."""
    return site.service(Plugins, TESTER).install(body(data))


def upgraded(plugins: Plugins) -> str:
    """A plugin that was approved, and that was upgraded; its id."""
    id_ = new_id()
    for version in ("1.0.0", "1.1.0"):
        plugins.install(body(made(manifest_text(id_, version=version))))
        plugins.approve(id_)
    return id_


def offer(directory: Path, site: Site, id_: str = "com.example.spam") -> Marketplace:
    """Two versions of a plugin, the root that signed them, which the site trusts, and what it took back.

    They are `spam-1.0.0.mairust-plugin` (in `packages/`, too), `spam-1.1.0.mairust-plugin`,
    `example-root.pub` and `example-root.revocations.json`.
    """
    market = Marketplace()
    known = {one.name for one in site.service(Trust, TESTER).browse().items}
    name = next(name for name in ("Example Marketplace", "second", "third") if name not in known)
    site.service(Trust, TESTER).add(replace(market.as_trusted(), name=name))
    (directory / "packages").mkdir()
    for version in ("1.0.0", "1.1.0"):
        data = made(manifest_text(id_, version=version), Signing(key=market.root))
        (directory / f"spam-{version}.mairust-plugin").write_bytes(data)
        if version == "1.0.0":
            (directory / "packages" / "spam.mairust-plugin").write_bytes(data)
    (directory / "example-root.pub").write_text(market.public)
    taken = b"".join(market.revoke(1, ["0" * 16]).chunks)
    (directory / "example-root.revocations.json").write_bytes(taken)
    return market


def offered(directory: Path, id_: str = "com.example.spam") -> None:
    """As `offer`, by a root that nobody trusts yet, and that takes its own key back."""
    market = Marketplace()
    for version in ("1.0.0", "1.1.0"):
        data = made(manifest_text(id_, version=version), Signing(key=market.root))
        (directory / f"spam-{version}.mairust-plugin").write_bytes(data)
    (directory / "example-root.pub").write_text(market.public)
    taken = b"".join(market.revoke(1, [market.id]).chunks)
    (directory / "example-root.revocations.json").write_bytes(taken)


def taken_in(directory: Path, site: Site, *versions: str) -> None:
    """Have a site install and approve some of the versions that are offered, one after the other."""
    for version in versions:
        id_ = install(site, (directory / f"spam-{version}.mairust-plugin").read_bytes()).id
        site.service(Plugins, TESTER).approve(id_)


def key_id(key: Ed25519PrivateKey | None) -> str:
    """What a key is called."""
    assert key is not None
    return keys.key_id(keys.public_of(key))
