"""What a plugin may do, told one by one, and whether that is more than was approved (R-PERM-3, rule G1).

Pure: from manifests and signers alone, so that a review on paper, over the API and on a terminal is the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from mairust_core.model.hook import POST_TIMEOUT_MS, Filter, Hook, HookType
from mairust_core.model.plugin import (
    Attachments,
    Body,
    Entry,
    Limits,
    Manifest,
    Network,
    Permissions,
    ProcessMode,
    Protocol,
)
from mairust_core.model.plugin_forms import Review, Right, RightKind
from mairust_core.model.trust import Signers
from mairust_core.wire import encode

READS = ("read_headers", "read_body", "read_attachments")
_DECIDES = ("type", "on_timeout", "on_error", "filter")
NOBODY = "nobody"
USUAL_CALLS = Entry(protocol=Protocol.STDIN).max_calls
USES = ("cpu_ms", "memory_mb", "wall_time_ms")
_ORDERS: dict[type, tuple[Any, ...]] = {
    Body: tuple(Body),
    Attachments: tuple(Attachments),
    Network: tuple(Network),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Who stands for a version, and who stood for the approved one; None where none is approved.

    `package` is its digest, empty for what is linked; `names` say what roots are called here.
    """

    package: str = ""
    signers: Signers = field(default_factory=Signers)
    was: Signers | None = None
    names: Mapping[str, str] = field(default_factory=dict)


LINKED = Standing()


def review(wanted: Manifest, approved: Manifest | None, standing: Standing = LINKED) -> Review:
    """What a version asks for, beside what was approved of an earlier one."""
    rights = (*_of_mail(wanted, approved), *_decides(wanted, approved), *_reaches(wanted, approved),
              *_uses(wanted, approved), *_keeps(wanted, approved), *_stands(standing))  # fmt: skip
    return Review(id=fingerprint(wanted, standing), version=wanted.version, rights=rights)


def asks_for_more(wanted: Manifest, approved: Manifest, standing: Standing = LINKED) -> bool:
    """Whether somebody has to approve it; what asks for the same or less runs at once."""
    return any(right.more for right in review(wanted, approved, standing).rights)


def fingerprint(manifest: Manifest, standing: Standing = LINKED) -> str:
    """What stands for exactly this manifest, in exactly this package, signed by exactly these."""
    whole = (encode(manifest), standing.package, encode(standing.signers))
    text = json.dumps(whole, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def approves_itself(manifest: Manifest, *, marketplace_signed: bool) -> bool:
    """Whether nobody needs to be asked (rule G1).

    It reads headers at most, is asked after storing, reaches nothing, takes the usual limits and keeps what
    it saw no longer than usual. Whoever listens at a socket is beyond the sandbox: that is a power, too, and
    only a local process has it not.
    """
    usual = Limits()
    modest = Permissions(read_headers=manifest.permissions.read_headers)
    limits = manifest.limits
    return (
        marketplace_signed
        and manifest.permissions == modest
        and all(hook.type is HookType.POST_RECEIVE for hook in manifest.hooks)
        and all(hook.timeout_ms <= POST_TIMEOUT_MS for hook in manifest.hooks)
        and manifest.entry.protocol is Protocol.STDIN  # the others heed none of the limits
        and limits.network is Network.NONE
        and limits.cpu_ms <= usual.cpu_ms
        and limits.memory_mb <= usual.memory_mb
        and (limits.wall_time_ms is None or limits.wall_time_ms <= POST_TIMEOUT_MS)
        and _kept_calls(manifest) <= USUAL_CALLS
    )


def _of_mail(wanted: Manifest, approved: Manifest | None) -> Iterator[Right]:
    """Reading and writing, without what it may not do and might not before."""
    for one in fields(Permissions):
        new = getattr(wanted.permissions, one.name)
        old = getattr(approved.permissions, one.name) if approved else None
        nothing = one.default
        if new == nothing and old in (None, nothing):
            continue
        yield Right(
            kind=RightKind.READ if one.name in READS else RightKind.WRITE,
            name=one.name,
            value=_spelt(new),
            was=None if old is None else _spelt(old),
            more=_rank(new) > (_rank(nothing) if old is None else _rank(old)),
        )


def _decides(wanted: Manifest, approved: Manifest | None) -> Iterator[Right]:
    """Its hooks: where it is asked, about which mail, and what counts when it does not answer."""
    known = {hook.name: hook for hook in approved.hooks} if approved else {}
    for hook in wanted.hooks:
        old = known.get(hook.name)
        yield Right(
            kind=RightKind.DECIDE,
            name=hook.name,
            value=_of_hook(hook),
            was=None if old is None else _of_hook(old),
            more=old is None or _is_more(wanted, hook, approved, old),
        )


def _is_more(wanted: Manifest, new: Hook, approved: Manifest | None, old: Hook) -> bool:
    """Whether a hook is another, or mail may wait for it longer."""
    limits = approved.limits if approved else Limits()
    same = all(getattr(new, name) == getattr(old, name) for name in _DECIDES)
    return not same or _longest_ms(new, wanted.limits) > _longest_ms(old, limits)


def _longest_ms(hook: Hook, limits: Limits) -> int:
    return min(hook.timeout_ms, limits.wall_time_ms or hook.timeout_ms)


def _of_hook(hook: Hook) -> str:
    """What of a hook concerns anybody's mail; in which order it runs is not in it."""
    given = {one.name: getattr(hook.filter, one.name) for one in fields(Filter)}
    wants = " ".join(f"{name}={_quoted(value)}" for name, value in given.items() if value is not None)
    silent = f"timeout_ms={hook.timeout_ms} on_timeout={hook.on_timeout.value} on_error={hook.on_error.value}"
    return " ".join(filter(None, (hook.type.value, silent, wants)))


def _quoted(value: Any) -> str:
    """A value of a filter; what an expression holds is not to be taken for another key."""
    return json.dumps(value, ensure_ascii=False)


def _reaches(wanted: Manifest, approved: Manifest | None) -> Iterator[Right]:
    """How it is spoken to, and what it reaches in the network."""
    protocol = wanted.entry.protocol
    if protocol is Protocol.EXTENSION:
        yield from _reaches_by_extension(wanted, approved)
    elif protocol in (Protocol.HTTP, Protocol.UNIX):
        was = approved.entry.endpoint if approved else None
        new = wanted.entry.endpoint
        yield Right(kind=RightKind.REACH, name="endpoint", value=new, was=was, more=was != new)
    elif approved is not None and approved.entry.protocol is not protocol:
        was = approved.entry.protocol.value
        yield Right(kind=RightKind.REACH, name="protocol", value=protocol.value, was=was, more=True)
    limits, old = wanted.limits, approved.limits if approved else None
    if limits.network is Network.NONE and (old is None or old.network is Network.NONE):
        return
    places = old.network_allow if old else ()
    yield Right(
        kind=RightKind.REACH,
        name="network",
        value=_network(limits),
        was=None if old is None else _network(old),
        more=_rank(limits.network) > _rank(old.network if old else Network.NONE)
        or not set(limits.network_allow) <= set(places),
    )


def _reaches_by_extension(wanted: Manifest, approved: Manifest | None) -> Iterator[Right]:
    """A transport of an extension, and what it shall reach: it heeds no limit but its own."""
    for name, key in (("protocol", "way"), ("endpoint", "endpoint")):
        new = getattr(wanted.entry, key)
        was = getattr(approved.entry, key) if approved else None
        if new or was:
            yield Right(kind=RightKind.REACH, name=name, value=new, was=was, more=was != new)


def _network(limits: Limits) -> str:
    return " ".join((limits.network.value, *limits.network_allow))


def _uses(wanted: Manifest, approved: Manifest | None) -> Iterator[Right]:
    """What one call may take; the usual limits are as if approved, since everybody has them."""
    usual = approved.limits if approved else Limits()
    for name in USES:
        new, old = getattr(wanted.limits, name), getattr(usual, name)
        if new != old or approved is None:
            yield Right(
                kind=RightKind.USE,
                name=name,
                value=_spelt(new),
                was=_spelt(old) if approved else None,
                more=_beyond(new, old),
            )


def _beyond(new: int | None, old: int | None) -> bool:
    """Whether a limit is further out; without one of its own only the hook's time-out holds."""
    return old is not None and (new is None or new > old)


def _keeps(wanted: Manifest, approved: Manifest | None) -> Iterator[Right]:
    """For how many calls a process remembers what it saw: for none but its own unless it stays (rule H3)."""
    new, old = _kept_calls(wanted), _kept_calls(approved) if approved else 0
    if new or old:
        was = str(old) if approved else None
        yield Right(kind=RightKind.USE, name="max_calls", value=str(new), was=was, more=new > old)


def _kept_calls(manifest: Manifest) -> int:
    entry = manifest.entry
    stays = entry.protocol is Protocol.STDIN and entry.mode is ProcessMode.WORKER
    return entry.max_calls if stays else 0


def _stands(standing: Standing) -> Iterator[Right]:
    """Whose root signed it, and which developer, where that is told of it or was of the version before.

    Another root, or none, is more; so is a developer who changed or vanished (rule G5).
    """
    new, old = standing.signers, standing.was
    if standing.package or (old is not None and old.is_signed):
        yield Right(
            kind=RightKind.TRUST,
            name="root",
            value=_root(new, standing.names),
            was=None if old is None else _root(old, standing.names),
            more=not new.is_signed if old is None else old.root != new.root,
        )
    if new.developer is not None or (old is not None and old.developer is not None):
        yield Right(
            kind=RightKind.TRUST,
            name="developer",
            value=new.developer or NOBODY,
            was=None if old is None else old.developer or NOBODY,
            more=old is not None and old.developer_key not in (None, new.developer_key),
        )


def _root(signers: Signers, names: Mapping[str, str]) -> str:
    if signers.root is None:
        return NOBODY
    return f"{names[signers.root]} ({signers.root})" if signers.root in names else signers.root


def _rank(value: Any) -> int:
    order: Sequence[Any] = _ORDERS.get(type(value), (False, True))
    return order.index(value)


def _spelt(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.value) if isinstance(value, Enum) else str(value)
