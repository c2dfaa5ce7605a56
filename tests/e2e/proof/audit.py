"""Compares a site with a ledger, through the operations that users have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from mairust_core.app import Site as OpenSite
from mairust_core.model.message import Summary
from mairust_core.services.accounts import Accounts
from mairust_core.services.messages import Messages
from tests.e2e.proof.ledger import Ledger, Told
from tests.support.invariants import check_site
from tests.support.server import TESTER, Site

_TOKEN = re.compile(rb"Message-ID: <(\S+)@proof\.example>\r\n")
PAGE = 500


def audit(site: Site, ledger: Ledger) -> None:
    """Every acknowledged copy is there exactly once, to the octet; refused ones are not; nothing else is.

    And whatever must hold of a site at every moment holds (`tests.support.invariants`).

    A copy whose sender was told nothing may be there once, and so may one whose sender was told that nobody
    knows: for outages that hit a COMMIT whose outcome could not be learnt (rule C4).
    """
    with site.opened() as here:
        compare(here, ledger)
    found = check_site(site.settings())
    assert not found, found


def compare(here: OpenSite, ledger: Ledger) -> None:
    """`audit` of an open site."""
    found = Counter(copies(here, ledger))
    allowed = {
        Told.STORED: {1},
        Told.REFUSED: {0},
        Told.UNKNOWN: {0, 1},
        Told.NOTHING: {0, 1},
    }
    wrong = []
    for entry in ledger.entries():
        for recipient, told in entry.told.items():
            times = found.pop((recipient, entry.mail.token), 0)
            if times not in allowed[told]:
                wrong.append(f"{entry.mail.token} for {recipient}: told {told.value}, there {times} times")
    assert not wrong, f"{len(wrong)} copies: " + "; ".join(wrong[:10])
    assert not found, f"copies that nobody sent: {list(found)[:10]}"


def copies(here: OpenSite, ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Address and token of every message of the site, each verified to the octet."""
    sent = {entry.mail.token: entry.mail.content for entry in ledger.entries()}
    for account in here.service(Accounts, TESTER).browse(limit=PAGE).items:
        for summary in summaries(here, account.address):
            content = original(here, summary)
            token = _TOKEN.match(content)
            assert token is not None, f"message {summary.id} is not one that was sent"
            name = token[1].decode()
            assert content == sent[name], f"message {summary.id} differs from what was sent as {name}"
            yield account.address, name


def summaries(here: OpenSite, address: str) -> Iterator[Summary]:
    """All messages of an account."""
    cursor = ""
    while True:
        page = here.service(Messages, TESTER).browse(address, cursor=cursor, limit=PAGE)
        yield from page.items
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


def original(here: OpenSite, summary: Summary) -> bytes:
    """The bytes that came; raises `Damaged`."""
    return b"".join(here.service(Messages, TESTER).raw(str(int(summary.id)), original=True).chunks)
