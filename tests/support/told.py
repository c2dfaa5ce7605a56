"""Answers to those who may read."""

from __future__ import annotations

from typing import TypeVar

from mairust_core.model.mailbox import Mailbox, MailboxRef
from mairust_core.model.message import MessageRef, Summary

T = TypeVar("T", bound=Summary | Mailbox)


def whole(told: T | MessageRef | MailboxRef) -> T:
    """The answer, which is more than an id or a name."""
    assert not isinstance(told, (MessageRef, MailboxRef))
    return told
