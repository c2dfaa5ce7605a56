"""What a caller wants of messages: changes of one, and which of many (contract §1, §3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mairust_core.errors import Invalid
from mairust_core.model.flags import once, parse_flag, parse_flags, parse_tag, parse_tags
from mairust_core.model.forms import UNSET, Unset, request, unset
from mairust_core.model.mailbox import INBOX, folded_inbox

MAX_NAMESPACES = 256
"""Of one message, those of all plugins together."""
MAX_NAMESPACE_LENGTH = 128
MAX_METADATA_BYTES = 16 << 10
"""Of one name, as JSON (rule F2)."""
PLUGINS_METADATA = "plugin:"
"""Names that begin so are written by plugins, each its own, and by nobody else."""

_LAST = datetime.max.replace(tzinfo=UTC)

Texts = tuple[str, ...]


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class MessageChange:
    """What to change of a message; what is left out stays.

    `flags` and `tags` replace all there are, `add_…` and `remove_…` change single ones. `mailbox` moves the
    message there. In `metadata` each name given replaces that name's value, null removes it.
    """

    flags: Texts | Unset = field(default_factory=unset)
    add_flags: Texts = ()
    remove_flags: Texts = ()
    tags: Texts | Unset = field(default_factory=unset)
    add_tags: Texts = ()
    remove_tags: Texts = ()
    mailbox: str | Unset = field(default_factory=unset)
    metadata: dict[str, Any] | Unset = field(default_factory=unset)

    def __post_init__(self) -> None:
        for name, parse in (("flags", parse_flags), ("tags", parse_tags)):
            for changed in (name, f"add_{name}", f"remove_{name}"):
                if (given := getattr(self, changed)) is not UNSET:
                    # what a message has may be taken away, whatever it is: the message itself tells
                    wanted = once(given) if changed == "remove_flags" else parse(given, changed)
                    object.__setattr__(self, changed, wanted)
            if getattr(self, name) is not UNSET and (
                getattr(self, f"add_{name}") or getattr(self, f"remove_{name}")
            ):
                raise Invalid(name, "not_beside")
        if self.mailbox is not UNSET:
            object.__setattr__(self, "mailbox", folded_inbox(self.mailbox))
        if self.metadata is not UNSET:
            _check_metadata(self.metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages of an account a list shows: those that fit everything that is not empty.

    `since` and `before` bound the time of receipt, the first included; `deleted` asks for those in the trash
    instead.
    """

    mailbox: str = ""
    tag: str = ""
    flag: str = ""
    unflag: str = ""
    since: datetime | None = None
    before: datetime | None = None
    deleted: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "mailbox", folded_inbox(self.mailbox))
        for name, parse in (("tag", parse_tag), ("flag", parse_flag), ("unflag", parse_flag)):
            if given := getattr(self, name):
                object.__setattr__(self, name, parse(given, name))
        for name in ("since", "before"):
            require_zone(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """Where an appended message goes, and what it carries; `date` is when it was received, None for now.

    `asked_for`: the address for which hooks are asked about it, empty when they are not (rule E3).
    """

    mailbox: str = INBOX
    flags: Texts = ()
    tags: Texts = ()
    date: datetime | None = None
    asked_for: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "mailbox", folded_inbox(self.mailbox))
        object.__setattr__(self, "flags", parse_flags(self.flags))
        object.__setattr__(self, "tags", parse_tags(self.tags))
        require_zone("date", self.date)
        if self.date is not None and self.date.timestamp() < 0:
            raise Invalid("date", "too_early", value=self.date.date().isoformat())
        if self.date is not None and self.date > _LAST:
            raise Invalid("date", "too_late", value=self.date.isoformat())


def require_zone(field: str, at: datetime | None) -> None:
    """Raise `Invalid` for a time without a zone."""
    if at is not None and at.tzinfo is None:
        raise Invalid(field, "no_time_zone")


def merged(old: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata with the names given replaced, and removed where they are null.

    Raises `Invalid` for too many names.
    """
    found = {name: value for name, value in {**old, **given}.items() if value is not None}
    if len(found) > MAX_NAMESPACES:
        raise Invalid("metadata", "too_many_names", limit=MAX_NAMESPACES)
    return found


def _check_metadata(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if not name.isprintable() or not 1 <= len(name) <= MAX_NAMESPACE_LENGTH:
            raise Invalid("metadata", "metadata_name", value=repr(name[:80]), limit=MAX_NAMESPACE_LENGTH)
        try:
            size_bytes = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise Invalid("metadata", "metadata_not_json", name=name, why=error) from error
        if size_bytes > MAX_METADATA_BYTES:
            raise Invalid(
                "metadata", "metadata_too_big", name=name, size_bytes=size_bytes, limit=MAX_METADATA_BYTES
            )
