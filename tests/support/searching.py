"""Mail to be searched, and what a search must find in it by a reading of its own.

`Mailbag` puts mail with chosen words, flags and times into a site and remembers it. `fits` decides a query on
what it remembers, piece by piece, without an index, a stored text or the product's own notion of a match.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage

from mairust_core.app import Site
from mairust_core.mime import describe
from mairust_core.model.account import NewAccount
from mairust_core.model.blob import Bytes
from mairust_core.model.delivery import Copy, Delivery, Stored
from mairust_core.model.domain import NewDomain
from mairust_core.model.principal import DEFAULT_TENANT, Principal
from mairust_core.search.indexing import has_work, index_some
from mairust_core.search.normal import is_run, normal
from mairust_core.search.query import (
    All,
    Field,
    Flagged,
    HasAttachment,
    InMailbox,
    Is,
    Node,
    Not,
    Received,
    Some,
    State,
    Tagged,
    Text,
)
from mairust_core.services.accounts import Accounts
from mairust_core.services.domains import Domains
from mairust_core.store.facts import kept_facts

TESTER = Principal.local("tester")
BITS = {"\\Seen": 1, "\\Answered": 2, "\\Flagged": 4, "\\Draft": 16}
START_MS = 1_790_000_000_000
_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail as its writer knows it."""

    subject: str = "letter"
    body: str = ""
    from_: str = "bob@x.example"
    to: str = "ann@example.org"
    cc: str = ""
    filenames: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    mailbox: str = "INBOX"
    received_ms: int = START_MS

    def content(self) -> bytes:
        """The bytes, never twice the same."""
        made = EmailMessage()
        made["From"], made["To"], made["Subject"] = self.from_, self.to, self.subject
        if self.cc:
            made["Cc"] = self.cc
        made["Message-ID"] = f"<{next(_numbers)}@letters.example>"
        made.set_content(self.body, cte="base64")
        for name in self.filenames:
            made.add_attachment(b"x", maintype="application", subtype="pdf", filename=name)
        return made.as_bytes()


@dataclass
class Mailbag:
    """Letters of one account of a site, by message id."""

    site: Site
    address: str
    account_id: int
    letters: dict[int, Letter] = field(default_factory=dict)

    @classmethod
    def of(cls, site: Site, address: str) -> Mailbag:
        """A bag for a new account, in a domain that is made when it is missing."""
        name = address.partition("@")[2]
        if not any(one.name == name for one in site.service(Domains, TESTER).browse().items):
            site.service(Domains, TESTER).add(NewDomain(name=name))
        account = site.service(Accounts, TESTER).add(NewAccount(address=address))
        return cls(site=site, address=address, account_id=int(account.id))

    def put(self, *letters: Letter) -> list[int]:
        """Store letters; their ids."""
        ids: list[int] = []
        deliveries = [self._delivery(one) for one in letters]
        for letter, outcome in zip(letters, self.site.committer.commit_many(deliveries), strict=True):
            assert isinstance(outcome, Stored), outcome
            self.letters[int(outcome.ids[0])] = letter
            ids.append(int(outcome.ids[0]))
        return ids

    def _delivery(self, one: Letter) -> Delivery:
        content = one.content()
        copy = Copy(
            id=self.site.ids.next(),
            account_id=self.account_id,
            size_bytes=len(content),
            mailbox=one.mailbox,
            flags=sum(BITS[flag] for flag in one.flags),
            tags=one.tags,
        )
        return Delivery(
            tenant_id=DEFAULT_TENANT,
            content=Bytes.of(content),
            kept=kept_facts(describe(content)),
            copies=(copy,),
            received_ms=one.received_ms,
        )

    def newest_first(self, ids: Sequence[int]) -> list[int]:
        """Ids in the order of every list."""
        return sorted(ids, key=lambda id_: (self.letters[id_].received_ms, id_), reverse=True)

    def expected(self, query: Node) -> list[int]:
        """The ids of all letters that match, newest first."""
        return self.newest_first([id_ for id_, one in self.letters.items() if fits(query, one)])


def index_all(site: Site) -> None:
    """Index in rounds until nothing is left, whatever others stored."""
    while has_work(site):
        assert index_some(site, rest=lambda _: None) or not has_work(site), "a round that does nothing"


def fits(query: Node, letter: Letter) -> bool:
    """Whether a letter matches, by a plain reading."""
    if isinstance(query, Text):
        return any(_holds(value, query.pattern, query.prefix) for value in _values(query.field, letter))
    if isinstance(query, Not):
        return not fits(query.part, letter)
    if isinstance(query, All):
        return all(fits(part, letter) for part in query.parts)
    if isinstance(query, Some):
        return any(fits(part, letter) for part in query.parts)
    if isinstance(query, Received):
        at = letter.received_ms
        return (query.from_ms is None or query.from_ms <= at) and (query.to_ms is None or at < query.to_ms)
    if isinstance(query, Is):
        wanted = {State.READ: "\\Seen", State.FLAGGED: "\\Flagged", State.ANSWERED: "\\Answered"}
        if query.state is State.UNREAD:
            return "\\Seen" not in letter.flags
        return wanted.get(query.state, "\\Draft") in letter.flags
    if isinstance(query, Flagged):
        return query.flag.lower() in (flag.lower() for flag in letter.flags)
    if isinstance(query, Tagged):
        return query.tag in letter.tags
    if isinstance(query, HasAttachment):
        return bool(letter.filenames)
    assert isinstance(query, InMailbox)
    return query.name == letter.mailbox


def _values(where: Field | None, letter: Letter) -> list[str]:
    fields = {
        Field.SUBJECT: [letter.subject],
        Field.FROM: [letter.from_],
        Field.TO: [letter.to],
        Field.CC: [letter.cc],
        Field.FILENAME: list(letter.filenames),
        Field.BODY: [letter.body],
    }
    return [value for values in fields.values() for value in values] if where is None else fields[where]


def _holds(value: str, pattern: str, prefix: bool) -> bool:
    """Whether the pieces of a pattern stand side by side in a value: words equal, runs parts at the ends.

    With `prefix` the last word needs to begin so only.
    """
    pieces, wanted = normal(value).split(" "), pattern.split(" ")
    last = len(wanted) - 1
    for start in range(len(pieces) - last):
        window = pieces[start : start + len(wanted)]
        if all(
            _piece_fits(piece, want, at == 0, at == last)
            or (prefix and at == last and piece.startswith(want))
            for at, (piece, want) in enumerate(zip(window, wanted, strict=True))
        ):
            return True
    return False


def _piece_fits(piece: str, want: str, is_first: bool, is_last: bool) -> bool:
    if not want or not is_run(want):
        return piece == want
    if is_first and is_last:
        return want in piece
    if is_first:
        return piece.endswith(want)
    return piece.startswith(want) if is_last else piece == want
