"""Every service there is: what the REST routes, the OpenAPI document and the remote proxies are made from."""

from __future__ import annotations

from mairust_core.operations import Service
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.backups import Backups
from mairust_core.services.collection import Collection
from mairust_core.services.domains import Domains
from mairust_core.services.messages import Messages
from mairust_core.services.tokens import Tokens

SERVICES: tuple[type[Service], ...] = (Domains, Accounts, Aliases, Messages, Tokens, Collection, Backups)
