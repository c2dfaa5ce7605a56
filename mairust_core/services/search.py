"""Searching mail (rule J1)."""

from __future__ import annotations

from mairust_core.errors import BadQuery, NotFound
from mairust_core.model.address import Address
from mairust_core.model.forms import DEFAULT_LIMIT
from mairust_core.model.principal import Scope
from mairust_core.model.search import Found
from mairust_core.operations import Service, operation
from mairust_core.services.pages import limited


class Search(Service):
    """Finding mail by its words."""

    @operation("GET", "/search", scope=Scope.READ, errors=(BadQuery, NotFound))
    def find(self, *, q: str, account: str, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Found:
        """Find the messages of an account that match a search, newest first.

        Words, "phrases", -not, OR and parentheses; from: to: cc: subject: filename: before: after:
        has:attachment is:unread tag: mailbox:. The set is exact, or `complete` is false.
        """
        Address.parse(account, "account")
        return self.site.search(self.by, account, q, cursor, limited(limit))
