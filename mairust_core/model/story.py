"""The story of a mail: all that is known of it, from the socket to where it lies now (B-7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mairust_core.model.envelope import Road
from mairust_core.model.ids import Id

Event = dict[str, Any]
"""What happened: `at` (RFC 3339), `kind`, `trace` (the mail it belongs to), and what `KINDS` names."""

KINDS: dict[str, tuple[str, ...]] = {
    "received": ("road", "client", "helo", "tls", "session", "mail_from", "size", "sha256"),
    "recipient": ("address", "accounts"),
    "refused": ("reply",),
    "stored": ("message", "account", "mailbox"),
    "repeated": ("message", "account"),
    "hook": ("hook", "type", "plugin", "version", "ms", "action", "account"),
    "decided": ("message", "account", "action", "attempt"),
    "hook_gone": ("hook", "message", "account"),
    "replayed": ("hook", "plugin", "version", "message", "account", "action", "saw"),
    "callback": ("hook", "plugin", "message_id", "action"),
    "cut": (),
    "replied": ("reply",),
    "appended": ("message", "account"),
    "now": ("message", "account", "mailbox", "undelete_until"),
}
"""The kinds of events, and what each tells beside `at`, `kind` and `trace`. More kinds may come.

`repeated`: the pipe brought for this account what it had brought within a day, the `message`; nothing was
stored. `hook`: one hook was asked, or could not be; `accounts` instead of `account` when it was asked once
about several. Where they apply: `reply`, `message`, `effect`, `annotations`, `score`; `saw`, the parts of the
mail that were shown to it; `error`, why it gave no answer; `refused`, fields that it may not write; `mode`
shadow, and whether that answer `differs` from what was decided; `attempt`, `moved_to` and `left_out` of a
hook after storing. `hook_gone`: a hook after storing was to be asked and is not registered any more.
`replayed`: a hook was tried on the stored mail, without effect; `saw` and `error` as above. `callback`: a
plugin answered again, later. `cut`: the story is too long, and what came later is not in it; a hook's event
has `cut` for what of it was too long, and `shortened` for lists of its `effect` that have their first entries
only, with how many there were. `decided`: a copy that waited for delivery was decided about again. `now`: the
`mailbox` a message is in, null when it was deleted; `undelete_until` while it is in the trash.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail, or one attempt to send it: what a list of traces shows.

    `id` is the trace's, which `Received` fields carry. `recipients` are the addresses as given,
    as far as they are within reach.
    """

    id: Id
    at: datetime
    accepted: bool
    road: Road
    client: str | None
    mail_from: str
    recipients: tuple[str, ...]
    message_id: str
    reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happened to one mail, or to every mail of one Message-ID, newest mail first.

    `events` are in the order of time within each mail. `complete` is false when there are more mails than are
    told, or when the trace of one has expired.
    """

    events: tuple[Event, ...]
    mails: tuple[Mail, ...]
    complete: bool
