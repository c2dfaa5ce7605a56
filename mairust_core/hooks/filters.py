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
COMPILED = 1024
"""Expressions of which is remembered how large they are."""
MAX_STEPS = 4000
"""The size of one expression when it is compiled: each character of a text may cost a look at all of it."""
QUICK_STEPS = 200_000
"""So many steps at the worst, a millisecond, are taken on the event loop."""
TOGETHER_STEPS = 100_000
"""Larger in sum they are matched one by one: an automaton of too many does not compile, or finds nothing."""
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
        size = steps_of(expression, any_case=key != "subject_matches")
    except re2.error as error:
        if any(mark in expression for mark in _LOOK_AROUND):
            raise Invalid(field, "filter_look_around", value=repr(expression[:80])) from error
        why = error.args[0] if error.args else ""
        shown = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise Invalid(field, "filter_expression", value=repr(expression[:80]), why=shown) from error
    if size > MAX_STEPS:
        raise Invalid(field, "filter_too_large", value=repr(expression[:80]), size=size, limit=MAX_STEPS)


@lru_cache(COMPILED)
def steps_of(expression: str, *, any_case: bool) -> int:
    """How large an expression is when it is compiled; raises `re2.error`."""
    return int(re2.compile(expression, _options(any_case)).programsize)


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
        self._any_case = any_case
        self._remembered = remembered
        self._numbers: dict[str, int] = {}
        self._match: Callable[[str], Sequence[int] | None] | None = None
        self.steps = 0
        """What one character may cost."""

    def add(self, expression: str | None) -> int | None:
        """The number under which `found` reports it; raises `re2.error`."""
        if expression is None:
            return None
        if expression not in self._numbers:
            self.steps += steps_of(expression, any_case=self._any_case)
            self._numbers[expression] = len(self._numbers)
        return self._numbers[expression]

    def compile(self) -> None:
        """Make the automaton, where there is anything to match."""
        if self._numbers:
            match = self._together() or self._one_by_one()
            self._match = lru_cache(self._remembered)(match) if self._remembered else match

    def _together(self) -> Callable[[str], Sequence[int] | None] | None:
        if self.steps > TOGETHER_STEPS:
            return None
        together = re2.Set.SearchSet(_options(self._any_case))
        try:
            for expression in self._numbers:
                together.Add(expression)
            together.Compile()
        except re2.error:
            log.warning("%d filters cannot be matched together", len(self._numbers))
            return None
        return together.Match  # type: ignore[no-any-return]

    def _one_by_one(self) -> Callable[[str], Sequence[int]]:
        compiled = [re2.compile(one, _options(self._any_case)) for one in self._numbers]
        return lambda text: [number for number, one in enumerate(compiled) if one.search(text)]

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
        self._asks_for_facts = any(
            one.subject is not None or one.has_attachments is not None for one in self._all
        )
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

    def is_quick(self, mail: Asked) -> bool:
        """Whether `matching` takes hardly any time, whatever the mail says; else it is for a thread."""
        subject = 0
        if self._subject.steps and (facts := mail.description.facts) is not None:
            subject = len(facts.subject)
        addresses = sum(len(one) for all_ in mail.reached.values() for one in all_)
        steps = self._subject.steps * subject + self._sender.steps * len(mail.envelope.mail_from)
        return steps + self._recipient.steps * addresses <= QUICK_STEPS

    def matching(self, mail: Asked) -> dict[HookType, Matching]:
        """The hooks that want something of a mail, by type.

        Whatever is no text counts as attached, and a mail that could not be looked through may have anything
        attached: a filter is no way past a hook.
        """
        if not self._all:
            return {}
        sender = self._sender.found(_text(mail.envelope.mail_from))
        subject: Sequence[int] = ()
        attachments = True
        if self._asks_for_facts and (facts := mail.description.facts) is not None:
            subject = self._subject.found(facts.subject)
            attachments = facts.has_attachments or bool(facts.attachments)
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
