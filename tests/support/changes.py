"""Random changes of one account's mail, with a model of what must come of them when nobody else is at it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mairust_core.app import Site
from mairust_core.errors import Conflict, Locked, NotFound, QuotaExceeded
from mairust_core.model.account import AccountChange
from mairust_core.model.mailbox import MailboxRename, NewMailbox
from mairust_core.model.message import Summary
from mairust_core.model.message_change import MessageChange
from mairust_core.operations import BytesIn
from mairust_core.services.accounts import Accounts
from mairust_core.services.mailboxes import Mailboxes
from mairust_core.services.messages import Messages
from tests.support.stores import ADMIN, message
from tests.support.told import whole

MAILBOXES = ("INBOX", "Work", "Work/2026", "Old", "Quarantine")
FLAGS = ("\\Seen", "\\Flagged", "$Junk", "later")
TAGS = ("bill", "to pay", "請求")
REFUSALS = (NotFound, Conflict, QuotaExceeded, Locked)
"""What a change may run into; anything else is a fault."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the model knows of a message."""

    mailbox: str
    flags: frozenset[str]
    tags: frozenset[str]
    deleted: bool = False
    homeless: bool = field(default=False, compare=False)
    """Deleted, and so is its mailbox: one of that name, made since, is another one."""
    deleted_from: str = field(default="", compare=False)
    """The name its mailbox had then, under which that is made anew."""


@dataclass
class Changes:
    """Does random things to the mail of one account; `alone` checks each answer against the model."""

    site: Site
    address: str
    chance: random.Random
    alone: bool
    known: dict[str, Known] = field(default_factory=dict)
    uids: dict[tuple[int, int], str] = field(default_factory=dict)
    refused: int = 0
    deadlocks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.messages = self.site.service(Messages, ADMIN)
        self.mailboxes = self.site.service(Mailboxes, ADMIN)
        self.accounts = self.site.service(Accounts, ADMIN)

    def run(self, count: int) -> None:
        """So many of them."""
        steps: list[tuple[int, Callable[[], None]]] = [
            (9, self._append),
            (6, self._flag),
            (4, self._tag),
            (5, self._move),
            (4, self._delete),
            (4, self._undelete),
            (1, self._purge),
            (1, self._release),
            (2, self._create),
            (1, self._rename),
            (1, self._remove_mailbox),
            (1, self._quota),
        ]
        weights = [weight for weight, _ in steps]
        for _ in range(count):
            (_, step) = self.chance.choices(steps, weights)[0]
            try:
                step()
            except REFUSALS as error:
                self.refused += 1
                if "deadlock" in str(error.__cause__):
                    self.deadlocks.append(str(error.__cause__))

    def _any(self) -> str:
        if not self.alone:
            page = self.messages.browse(self.address, deleted=self.chance.random() < 0.4, limit=20)
            found = [str(int(one.id)) for one in page.items]
            return self.chance.choice(found) if found else "1"
        return self.chance.choice(sorted(self.known)) if self.known else "1"

    def _some(self, words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.chance.sample(words, self.chance.randint(0, 2)))

    def _append(self) -> None:
        data = message()
        mailbox, flags, tags = self.chance.choice(MAILBOXES), self._some(FLAGS), self._some(TAGS)
        content = BytesIn(chunks=[data], size_bytes=len(data))
        summary = self.messages.append(self.address, content, mailbox=mailbox, flag=flags, tag=tags)
        new = Known(mailbox, frozenset(flags), frozenset(tags))
        self._seen(summary, lambda _: new)

    def _flag(self) -> None:
        id_, add, remove = self._any(), self._some(FLAGS), self._some(FLAGS)
        summary = whole(self.messages.change(id_, MessageChange(add_flags=add, remove_flags=remove)))
        self._seen(summary, lambda old: replace(old, flags=(old.flags - {*remove}) | {*add}))

    def _tag(self) -> None:
        id_, tags = self._any(), self._some(TAGS)
        summary = whole(self.messages.change(id_, MessageChange(tags=tags)))
        self._seen(summary, lambda old: replace(old, tags=frozenset(tags)))

    def _move(self) -> None:
        id_, to = self._any(), self.chance.choice(MAILBOXES)
        summary = whole(self.messages.change(id_, MessageChange(mailbox=to, add_flags=("later",))))
        self._seen(summary, lambda old: replace(old, mailbox=to, flags=old.flags | {"later"}))

    def _delete(self) -> None:
        id_ = self._any()
        assert self.messages.delete(id_).undelete_until is not None
        if self.alone and not self.known[id_].deleted:
            one = self.known[id_]
            self.known[id_] = replace(one, deleted=True, deleted_from=one.mailbox)

    def _undelete(self) -> None:
        self._seen(whole(self.messages.undelete(self._any())), lambda old: replace(old, deleted=False))

    def _purge(self) -> None:
        id_ = self._any()
        self.messages.delete(id_, now=True)
        self.known.pop(id_, None)

    def _release(self) -> None:
        released = whole(self.messages.release(self._any()))
        self._seen(
            released, lambda old: replace(old, mailbox="INBOX") if old.mailbox == "Quarantine" else old
        )

    def _create(self) -> None:
        self.mailboxes.create(self.address, NewMailbox(name=self.chance.choice(MAILBOXES[1:4])))

    def _rename(self) -> None:
        old, new = self.chance.sample(MAILBOXES[1:4], 2)
        if new.startswith(old + "/"):
            return
        self.mailboxes.rename(self.address, MailboxRename(name=old, to=new))
        for id_, one in self.known.items():
            if not one.homeless and (one.mailbox == old or one.mailbox.startswith(f"{old}/")):
                self.known[id_] = replace(one, mailbox=new + one.mailbox[len(old) :])

    def _remove_mailbox(self) -> None:
        name = self.chance.choice(MAILBOXES[1:4])
        self.mailboxes.delete(self.address, name=name)
        for id_, one in self.known.items():
            if one.mailbox == name and not one.homeless:
                home = one.deleted_from if one.deleted else name
                self.known[id_] = replace(one, mailbox=home, deleted=True, homeless=True, deleted_from=home)

    def _quota(self) -> None:
        room = self.chance.choice([0, 500, None, None, None])
        used = self.accounts.show(self.address).used_bytes
        quota_bytes = None if room is None else used + room
        self.accounts.edit(self.address, AccountChange(quota_bytes=quota_bytes))

    def _seen(self, summary: Summary, change: Callable[[Known], Known]) -> None:
        """Check an answer: it is what was asked for, and its UID was no other message's (trap D3)."""
        if not self.alone:
            return
        id_ = str(int(summary.id))
        now = Known(summary.mailbox, frozenset(summary.flags), frozenset(summary.tags))
        assert now == change(self.known.get(id_, now))
        self.known[id_] = now
        boxes = {one.name: one.uidvalidity for one in self.accounts.mailboxes(self.address).items}
        assert self.uids.setdefault((boxes[summary.mailbox], summary.uid), id_) == id_

    def there(self) -> dict[str, Known]:
        """What the account holds."""
        found = {}
        for deleted in (False, True):
            cursor: str | None = ""
            while cursor is not None:
                page = self.messages.browse(self.address, deleted=deleted, cursor=cursor, limit=100)
                for one in page.items:
                    tags = frozenset(one.tags)
                    found[str(int(one.id))] = Known(one.mailbox, frozenset(one.flags), tags, deleted)
                cursor = page.next_cursor
        return found
