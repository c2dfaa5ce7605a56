"""What can be said of a sound package by somebody who trusts certain roots: check by check, none left out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from mairust_core.errors import Invalid
from mairust_core.model.package import CheckState
from mairust_core.plugins.package.documents import spelt
from mairust_core.plugins.package.reading import Package
from mairust_core.plugins.package.revocations import RevocationList
from mairust_core.plugins.package.vouching import require_not_named, require_not_revoked, voucher


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a check: the values of its text, or why it failed."""

    name: str
    state: CheckState
    key_id: str | None = None
    values: dict[str, object] = field(default_factory=dict)
    error: Invalid | None = None


def check(
    package: Package, roots: Mapping[str, bytes], lists: Sequence[RevocationList], now: datetime
) -> Iterator[Outcome]:
    """All checks in order; `roots` are trusted keys by id, `lists` revocation lists as they came."""
    yield _passed("archive", {"files": len(package.files), "size": package.size_bytes})
    yield _passed("manifest", {"id": package.manifest.id, "version": package.manifest.version})
    yield _developer(package)
    marketplace = _marketplace(package, roots, now)
    root = marketplace.values.get("root")
    for one in lists:
        revoked = partial(_revoked, package, one, roots, root)
        yield _tried("revocations", one.root, {"serial": one.serial}, revoked)
    yield marketplace
    yield _licence(package, roots, now)


def taken_back(package: Package, revoked: Mapping[str, Collection[str]], root: object) -> Iterator[Outcome]:
    """What of a package each root took back, by what is known of it without a list; nothing when nothing.

    No root speaks for another, for what has none all do, as on a site (`store.trust.Trusted.revoked_by`).
    """
    for by, named in sorted(revoked.items()):
        if root in (None, by):
            outcome = _tried("revocations", by, {}, partial(require_not_named, package, named, by))
            if outcome.state is CheckState.FAILED:
                yield outcome


def _passed(name: str, values: dict[str, object]) -> Outcome:
    return Outcome(name=name, state=CheckState.PASSED, values=values)


def _tried(name: str, key_id: str, values: dict[str, object], what: Callable[[], object]) -> Outcome:
    try:
        what()
    except Invalid as error:
        return Outcome(name=name, state=CheckState.FAILED, key_id=key_id, error=error)
    return Outcome(name=name, state=CheckState.PASSED, key_id=key_id, values=values)


def _developer(package: Package) -> Outcome:
    mark = package.developer
    if mark is None:
        return Outcome(name="developer", state=CheckState.ABSENT)
    state = CheckState.OPEN if mark.public_key is None else CheckState.PASSED
    return Outcome(name="developer", state=state, key_id=mark.key_id, values={"by": mark.key_id})


def _marketplace(package: Package, roots: Mapping[str, bytes], now: datetime) -> Outcome:
    mark = package.marketplace
    if not roots:
        state = CheckState.ABSENT if mark is None else CheckState.OPEN
        key_id = None if mark is None else mark.key_id
        return Outcome(name="marketplace", state=state, key_id=key_id, values={"by": key_id})
    try:
        root = voucher(package, roots, now)
    except Invalid as error:
        key_id = None if mark is None else mark.key_id
        return Outcome(name="marketplace", state=CheckState.FAILED, key_id=key_id, error=error)
    assert mark is not None
    values: dict[str, object] = {"by": mark.key_id, "root": root}
    return Outcome(name="marketplace", state=CheckState.PASSED, key_id=mark.key_id, values=values)


def _licence(package: Package, roots: Mapping[str, bytes], now: datetime) -> Outcome:
    licence = package.licence
    if licence is None:
        return Outcome(name="license", state=CheckState.ABSENT)
    values: dict[str, object] = {"holder": licence.holder, "at": spelt(licence.not_after)}
    if not roots:
        return Outcome(name="license", state=CheckState.OPEN, key_id=licence.root, values=values)
    return _tried("license", licence.root, values, lambda: licence.require(roots, now))


def _revoked(package: Package, one: RevocationList, roots: Mapping[str, bytes], root: object) -> None:
    """No root speaks for what another one stands for; of what has none, all do, as on a site."""
    one.signed.require_root(roots)
    if root in (None, one.root):
        require_not_revoked(package, one)
