"""What a list of revocations does to the plugins of a site, at once (rule G5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mairust_core.ids import IdSource
from mairust_core.model.plugin import State
from mairust_core.model.principal import Principal
from mairust_core.plugins.standing import is_revoked, named_in
from mairust_core.store import audits, packages, plugins, trust
from mairust_core.store.packages import Facts
from mairust_core.store.plugins import Registered
from mairust_core.store.trust import Trusted

if TYPE_CHECKING:
    from sqlalchemy import Connection

PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """The ids of plugins that were blocked, and of those that a list names and that stay disabled."""

    blocked: list[str] = field(default_factory=list)
    already_disabled: list[str] = field(default_factory=list)


def strike(tx: Connection, by: Principal, ids: IdSource, root: str) -> Struck:
    """Block every plugin of which something revoked runs or alone waits; what else waits is dropped.

    One that somebody disabled stays that: its hooks are asked nothing, and it is not enabled again; those
    that this root's list names are told. All of it is audited.
    """
    struck = Struck()
    for one, facts, trusted in _all(tx, by):
        changed = _judged(one, facts, trusted)
        if changed != one:
            plugins.replace(tx, by, changed)
            dropped = changed.state is one.state
            audits.record(tx, ids.next(), by, f"plugins.{'drop_pending' if dropped else 'block'}", one.id)
            if not dropped:
                struck.blocked.append(one.id)
        mine = Trusted(roots={}, revoked={root: trusted.revoked.get(root, frozenset())})
        if one.state is State.DISABLED and _is_revoked(one.package, facts, mine):
            audits.record(tx, ids.next(), by, "plugins.revoke", one.id)
            struck.already_disabled.append(one.id)
    return struck


def _all(tx: Connection, by: Principal) -> Iterator[tuple[Registered, dict[str, Facts], Trusted]]:
    """Every plugin, with what is told of packages and what of them was taken back; a page at a time."""
    after = ""
    while found := plugins.page(tx, by, after, PAGE):
        after = found[-1].id
        facts = packages.facts(
            tx, by, (digest for one in found for digest in (one.package, one.pending_package))
        )
        trusted = trust.trusted(tx, by, named_in((digest, one.signers) for digest, one in facts.items()))
        for one in found:
            yield one, facts, trusted


def _is_revoked(digest: str | None, facts: dict[str, Facts], trusted: Trusted) -> bool:
    return digest is not None and digest in facts and is_revoked(digest, facts[digest].signers, trusted)


def _judged(one: Registered, facts: dict[str, Facts], trusted: Trusted) -> Registered:
    """A plugin as it is when what was revoked has its effect."""
    runs = one.state is not State.DISABLED and _is_revoked(one.package, facts, trusted)
    waits = one.pending is not None and _is_revoked(one.pending_package, facts, trusted)
    if runs or (waits and one.manifest is None):
        one = replace(one, state=State.BLOCKED)
    if waits and one.manifest is not None:
        one = replace(one, pending=None, pending_package=None)
    return one
