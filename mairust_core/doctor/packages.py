"""Packages of plugins: what was taken back or is past its time, and whether what runs is what came in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mairust_core.config import Settings
from mairust_core.doctor.findings import Found
from mairust_core.ids import now_ms, to_time
from mairust_core.model.plugin import Protocol, State
from mairust_core.model.principal import Principal
from mairust_core.model.trust import Signers
from mairust_core.plugins.package.written import difference
from mairust_core.plugins.standing import is_revoked, named_in
from mairust_core.store import StorageBackend, trust
from mairust_core.store import packages as queries
from mairust_core.store import plugins as registered
from mairust_core.wire import encode_time

MAX_LOOKED = 500
_ME = Principal.local("doctor")


def standing(_: Settings, storage: StorageBackend) -> Iterator[Found]:
    """No plugin is blocked or revoked; whoever stands for one that runs is trusted and within their time."""
    with storage.read() as tx:
        found = registered.page(tx, _ME, "", MAX_LOOKED)
        facts = queries.facts(tx, _ME, (one.package for one in found))
        about = named_in((digest, one.signers) for digest, one in facts.items())
        trusted = trust.trusted(tx, _ME, about)
    if blocked := [one.id for one in found if one.state is State.BLOCKED]:
        yield Found("plugins.blocked", names=", ".join(blocked), count=len(blocked), first=blocked[0])
    for one in found:
        if one.package not in facts:
            continue
        signers = facts[one.package].signers
        if one.state is State.ENABLED:
            yield from _judged(one.id, signers, trusted.roots, now_ms())
        elif one.state is State.DISABLED and is_revoked(one.package, signers, trusted):
            yield Found("plugins.revoked", id=one.id)


def _judged(id_: str, signers: Signers, roots: Mapping[str, bytes], at_ms: int) -> Iterator[Found]:
    if signers.root is not None and signers.root not in roots:
        yield Found("plugins.untrusted", id=id_, key=signers.root)
    if signers.licence_ends_ms is not None and signers.licence_ends_ms < at_ms:
        ended = encode_time(to_time(signers.licence_ends_ms))
        yield Found("plugins.licence_expired", id=id_, holder=signers.licence_holder, ended=ended)
    if signers.not_after_ms is not None and signers.not_after_ms < at_ms:
        ended = encode_time(to_time(signers.not_after_ms))
        yield Found("plugins.certificate_expired", id=id_, key=signers.key, ended=ended)


def whole(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """Every package of an enabled plugin is kept, and its files on this machine are as they were signed."""
    with storage.read() as tx:
        found = [
            one for one in registered.page(tx, _ME, "", MAX_LOOKED)
            if one.state is State.ENABLED and one.package is not None
        ]  # fmt: skip
        kept = {digest: queries.find(tx, _ME, digest) for one in found if (digest := one.package)}
        sizes = queries.kept_bytes(tx, _ME)
    for one in found:
        digest = one.package or ""
        package = kept[digest]
        if package is None or sizes.get(package.archive) != package.size_bytes:
            yield Found("plugins.package", id=one.id, digest=digest)
        elif one.shown.entry.protocol is Protocol.STDIN:
            place = settings.packages_dir / digest
            if place.is_dir() and (what := difference(place, package.listing)):
                yield Found("plugins.cache", id=one.id, path=place, what=what)
