"""Which mail a hook wants, decided for all hooks at once in time linear in the mail (trap H5).

All expressions on one text are one automaton (RE2's `Set`), so that twenty hooks that do not match cost
hardly more than one. Addresses match in any case, as addresses do (trap S7); subjects as they are written,
`(?i)` makes them match in any case.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import re2

from mairust_core.errors import Invalid
from mairust_core.hooks import Asked
from mairust_core.hooks.book import Registered
from mairust_core.model.address import Address
from mairust_core.model.hook import Filter, HookType

ADDRESSES = 4096
"""Addresses of each kind of which is remembered what they match."""
MAX_EXPRESSION = 1000
"""Characters of one expression."""
_MEMORY_BYTES = 64 << 20
_LOOK_AROUND = ("(?=", "(?!", "(?<=", "(?<!")
log = logging.getLogger("mairust.hooks")
_EXPRESSIONS = (
    "recipient_matches",
    "recipient_not_matches",
    "sender_matches",
    "sender_not_matches",
    "subject_matches",
)


def check(wanted: Filter) -> None:
    """Return when the filter can be used; raises `Invalid` naming the key, and look-around by name."""
    for key in _EXPRESSIONS:
        if (expression := getattr(wanted, key)) is not None:
            _check_expression(key, expression)
    for key in ("size_gt", "size_lt"):
        size = getattr(wanted, key)
        if size is not None and size < 0:
            raise Invalid(f"filter.{key}", "filter_size", value=size)


def _check_expression(key: str, expression: str) -> None:
    field = f"filter.{key}"
    if len(expression) > MAX_EXPRESSION:
        raise Invalid(field, "filter_too_long", limit=MAX_EXPRESSION)
    try:
        re2.compile(expression, _options(key != "subject_matches"))
    except re2.error as error:
        if any(mark in expression for mark in _LOOK_AROUND):
            raise Invalid(field, "filter_look_around", value=repr(expression[:80])) from error
        why = error.args[0] if error.args else ""
        shown = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise Invalid(field, "filter_expression", value=repr(expression[:80]), why=shown) from error


def _options(any_case: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.case_sensitive = not any_case
    options.max_mem = _MEMORY_BYTES
    return options


class _Expressions:
    """Distinct expressions on one kind of text, matched together.

    Of addresses the answers are remembered: they come again, and RE2 lets go of the interpreter lock, which a
    busy event loop then waits for.
    """

    def __init__(self, any_case: bool, remembered: int = 0) -> None:
        self._options = _options(any_case)
        self._remembered = remembered
        self._numbers: dict[str, int] = {}
        self._match: Callable[[str], Sequence[int] | None] | None = None

    def add(self, expression: str | None) -> int | None:
        """The number under which `found` reports it."""
        return None if expression is None else self._numbers.setdefault(expression, len(self._numbers))

    def compile(self) -> None:
        """Make the automaton, where there is anything to match."""
        if self._numbers:
            together = re2.Set.SearchSet(self._options)
            for expression in self._numbers:
                together.Add(expression)
            together.Compile()
            self._match = lru_cache(self._remembered)(together.Match) if self._remembered else together.Match

    def found(self, text: str) -> Sequence[int]:
        """The numbers of the expressions that match."""
        return () if self._match is None else self._match(text) or ()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One hook, its expressions by number."""

    registered: Registered
    recipient: int | None
    not_recipient: int | None
    sender: int | None
    not_sender: int | None
    subject: int | None
    has_attachments: bool | None
    size_gt: int | None
    size_lt: int | None

    def mail(self, sender: Sequence[int], subject: Sequence[int], attachments: bool, size_bytes: int) -> bool:
        """Whether it wants the mail, whoever its recipients are."""
        return (
            (self.sender is None or self.sender in sender)
            and (self.subject is None or self.subject in subject)
            and (self.not_sender is None or self.not_sender not in sender)
            and (self.has_attachments is None or self.has_attachments == attachments)
            and (self.size_gt is None or size_bytes > self.size_gt)
            and (self.size_lt is None or size_bytes < self.size_lt)
        )

    def account(self, found: Sequence[int]) -> bool:
        """Whether it wants the copy of an account with these hits on its addresses."""
        return (self.recipient is None or self.recipient in found) and (
            self.not_recipient is None or self.not_recipient not in found
        )


Matching = list[tuple[Registered, list[int]]]
"""Hooks in their order, each with the accounts that it wants."""


class Sieve:
    """Every hook of a site with its filter, in the order in which they are asked (R-HOOK-3)."""

    def __init__(self, registered: Sequence[Registered]) -> None:
        """A hook whose filter cannot be used counts as blocked, for all mail: it does not fall open (H1)."""
        self._recipient = _Expressions(True, remembered=ADDRESSES)
        self._sender = _Expressions(True, remembered=ADDRESSES)
        self._subject = _Expressions(False)
        self.hooks = sorted(registered, key=lambda one: (one.hook.priority, one.hook.name))
        self._all = [self._wanted(one) for one in self.hooks]
        for expressions in (self._recipient, self._sender, self._subject):
            expressions.compile()

    def _wanted(self, one: Registered) -> _Wanted:
        wanted = one.hook.filter
        try:
            check(wanted)
        except Invalid as error:
            log.error("hook %s answers with its on_error: %s", one.hook.name, error)
            one, wanted = replace(one, blocked=True), Filter()
        return _Wanted(
            registered=one,
            recipient=self._recipient.add(wanted.recipient_matches),
            not_recipient=self._recipient.add(wanted.recipient_not_matches),
            sender=self._sender.add(wanted.sender_matches),
            not_sender=self._sender.add(wanted.sender_not_matches),
            subject=self._subject.add(wanted.subject_matches),
            has_attachments=wanted.has_attachments,
            size_gt=wanted.size_gt,
            size_lt=wanted.size_lt,
        )

    def matching(self, mail: Asked) -> dict[HookType, Matching]:
        """The hooks that want something of a mail, by type; a mail that could not be described has no
        subject and no attachments.
        """
        if not self._all:
            return {}
        facts = mail.facts
        sender = self._sender.found(_text(mail.envelope.mail_from))
        subject = self._subject.found(facts.subject) if facts is not None else ()
        attachments = facts is not None and facts.has_attachments
        size_bytes = mail.content.size_bytes
        wanting = [one for one in self._all if one.mail(sender, subject, attachments, size_bytes)]
        if not wanting:
            return {}
        found = {account: self._hits(addresses) for account, addresses in mail.reached.items()}
        return _by_type(wanting, found)

    def _hits(self, addresses: Sequence[str]) -> Sequence[int]:
        if len(addresses) == 1:
            return self._recipient.found(_text(addresses[0]))
        return [hit for address in addresses for hit in self._recipient.found(_text(address))]


def _by_type(wanting: Sequence[_Wanted], found: Mapping[int, Sequence[int]]) -> dict[HookType, Matching]:
    matching: dict[HookType, Matching] = {}
    for one in wanting:
        accounts = [account for account, hits in found.items() if one.account(hits)]
        if accounts:
            matching.setdefault(one.registered.hook.type, []).append((one.registered, accounts))
    return matching


def _text(address: str) -> str:
    """An address as expressions meet it: the domain as A-labels where it is none (trap S7)."""
    if address.isascii():
        return address
    shown = address.encode("utf-8", "replace").decode()
    try:
        return Address.parse(shown).folded
    except Invalid:
        return shown
