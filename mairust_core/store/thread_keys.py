"""By what a mail finds its thread: hashes of ids, and of its subject with whom it is between (rule J4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from mairust_core.model.content import Correspondent, Facts, KeptFacts

MAX_REFERENCES = 20
"""The newest references; older ones lead to the same thread."""
MAX_SENDERS, MAX_RECEIVERS = 2, 14
"""So many addresses are looked at, whatever senders write."""
_MAX_CORRESPONDENTS = 8

Keys = tuple[int, ...]
"""63 bits of a hash each."""


def own_keys(facts: Facts) -> Keys:
    """The key of its own message id, if it has one."""
    return _hashes([facts.message_id]) if facts.message_id else ()


def parent_keys(facts: Facts) -> Keys:
    """The keys of the ids that it answers, the nearest first."""
    return _hashes((*facts.in_reply_to, *reversed(facts.references[-MAX_REFERENCES:])))


def parties_folded(facts: Facts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The addresses that it is from, and those that it is to, folded roughly."""
    return _folded(facts.from_[:MAX_SENDERS]), _folded((*facts.to, *facts.cc)[:MAX_RECEIVERS])


def _folded(parties: Sequence[Correspondent]) -> tuple[str, ...]:
    return tuple([one.address.casefold() for one in parties if one.address])


def correspondents(kept: KeptFacts, own: str) -> tuple[Sequence[str], Sequence[str]]:
    """The addresses a mail is between, and those it is from, without `own`, folded roughly; at most eight.

    Of what the account sent itself all are senders: an answer comes from one of them.
    """
    mine = own.casefold()
    everyone = dict.fromkeys((*kept.senders, *kept.receivers))
    others = [one for one in everyone if one != mine][:_MAX_CORRESPONDENTS]
    return others, [one for one in dict.fromkeys(kept.senders) if one != mine] or others


def subject_keys(kept: KeptFacts, others: Iterable[str]) -> Keys:
    """The keys of its subject with each of these addresses."""
    return _hashes([f"\0{kept.base_subject}\0{one}" for one in others])


def _hashes(texts: Iterable[str]) -> Keys:
    return tuple(
        [
            int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()) >> 1
            for text in texts
        ]
    )
