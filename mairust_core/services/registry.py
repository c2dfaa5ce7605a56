"""Every service there is: what the REST routes, the OpenAPI document and the remote proxies are made from."""

from __future__ import annotations

from mairust_core.operations import Service
from mairust_core.services.accesses import Accesses
from mairust_core.services.accounts import Accounts
from mairust_core.services.aliases import Aliases
from mairust_core.services.audit import Audit
from mairust_core.services.backups import Backups
from mairust_core.services.collection import Collection
from mairust_core.services.config import Config
from mairust_core.services.doctor import Doctor
from mairust_core.services.domains import Domains
from mairust_core.services.exporting import Exports
from mairust_core.services.hook_schemas import Schemas
from mairust_core.services.hooks import Hooks
from mairust_core.services.importing import Imports
from mairust_core.services.index import Index
from mairust_core.services.jobs import Jobs
from mairust_core.services.mailboxes import Mailboxes
from mairust_core.services.messages import Messages
from mairust_core.services.plugin_tokens import PluginTokens
from mairust_core.services.plugins import Plugins
from mairust_core.services.search import Search
from mairust_core.services.secrets import Secrets
from mairust_core.services.status import Status
from mairust_core.services.tokens import Tokens
from mairust_core.services.traces import Traces
from mairust_core.services.trust import Trust

SERVICES: tuple[type[Service], ...] = (
    Domains,
    Accounts,
    Aliases,
    Mailboxes,
    Messages,
    Imports,
    Exports,
    Tokens,
    Collection,
    Jobs,
    Traces,
    Audit,
    Status,
    Doctor,
    Config,
    Secrets,
    Search,
    Index,
    Backups,
    Plugins,
    PluginTokens,
    Accesses,
    Trust,
    Hooks,
    Schemas,
)
