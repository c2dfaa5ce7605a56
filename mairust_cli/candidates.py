"""What the shell offers on TAB for a domain, an address, a mailbox or an id: quick, and silent when it fails.

    mairust --complete KIND PREFIX WORD…

prints one candidate a line. The words are those typed so far, of which the global options count.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from mairust_cli.entry import WITH_VALUE

if TYPE_CHECKING:
    from mairust_core.operations import Service
    from mairust_core.remote import Server

LIMIT_S = 1.5
LOWER_CASE = frozenset({"domains", "accounts", "aliases"})
MAX_DIGITS = 19


class Wanted(NamedTuple):
    """What to look for: a kind, how it begins, and whose it is, by address or by the id of a message."""

    kind: str
    prefix: str
    account: str = ""
    message: int | None = None


def main(arguments: Sequence[str]) -> int:
    """Print the candidates; 0, whatever happens: a shell that completes must not be talked to."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        kind, prefix, *words = arguments
        sys.stdout.write("".join(f"{one}\n" for one in find(kind, prefix, words) if one.isprintable()))
        sys.stdout.flush()
    except Exception:  # whatever is broken, the next command says so; here it would only disturb the line
        return 0
    return 0


def find(kind: str, prefix: str, words: Sequence[str]) -> list[str]:
    """The candidates of a kind, here or on the server that words or environment name."""
    given = options(words)
    if kind in LOWER_CASE:
        prefix = prefix.lower()
    wanted = Wanted(kind, prefix, given.get("--account", ""), _message(words))
    server = given.get("--server") or os.environ.get("MAIRUST_SERVER", "")
    return _there(server, wanted, given) if server else _here(wanted, given)


def _message(words: Sequence[str]) -> int | None:
    """The first word that can be the id of a message."""
    ids = (int(word) for word in words if word.isascii() and word.isdigit() and len(word) <= MAX_DIGITS)
    return next(ids, None)


def options(words: Sequence[str]) -> dict[str, str]:
    """The values of options among the words, also of those written with `=`."""
    found: dict[str, str] = {}
    known = WITH_VALUE | {"--account"}
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, equals, value = word.partition("=")
        if name in known:
            found[name] = value if equals else following
    return found


def _here(wanted: Wanted, given: dict[str, str]) -> list[str]:
    from mairust_core.config import load_settings
    from mairust_core.ownership import become_owner
    from mairust_core.store.glance import candidates

    config, data_dir = given.get("--config"), given.get("--data-dir")
    settings = load_settings(
        config_file=Path(config).expanduser() if config else None,
        data_dir=Path(data_dir).expanduser() if data_dir else None,
        env=os.environ,
    )
    become_owner(settings)
    return candidates(settings.database.url, *wanted)


def _there(url: str, wanted: Wanted, given: dict[str, str]) -> list[str]:
    from mairust_core.remote import Server

    ca_file, token_file = given.get("--ca-file"), given.get("--token-file")
    token = Path(token_file).expanduser().read_text("ascii") if token_file else os.environ["MAIRUST_TOKEN"]
    with Server(
        url=url, token=token.strip(), ca_file=Path(ca_file) if ca_file else None, timeout_s=LIMIT_S
    ) as server:
        prefix = wanted.prefix.lower()
        return [one for one in _listed(server, wanted) if one.lower().startswith(prefix)]


def _listed(server: Server, wanted: Wanted) -> list[str]:
    from mairust_core.remote import remote
    from mairust_core.services.accounts import Accounts
    from mairust_core.services.aliases import Aliases
    from mairust_core.services.domains import Domains
    from mairust_core.services.hooks import Hooks
    from mairust_core.services.plugins import Plugins
    from mairust_core.services.tokens import Tokens
    from mairust_core.services.traces import Traces

    match wanted.kind:
        case "domains":
            return [one.name for one in _near(Domains, server, wanted)]
        case "accounts":
            return [one.address for one in remote(Accounts, server).browse(limit=200).items]
        case "aliases":
            return [one.address for one in remote(Aliases, server).browse(limit=200).items]
        case "tokens":
            return [one.id for one in _near(Tokens, server, wanted)]
        case "plugins":
            return [one.id for one in _near(Plugins, server, wanted)]
        case "hooks":
            return [one.name for one in _near(Hooks, server, wanted)]
        case "traces":
            return [str(int(one.id)) for one in remote(Traces, server).browse(limit=50).items]
        case "jobs":
            return _jobs(server)
    return _of_account(server, wanted)


def _near(kind: type[Service], server: Server, wanted: Wanted) -> Sequence[Any]:
    """The items of a list by name where what is wanted comes first."""
    from mairust_core.operations.cursors import Listing
    from mairust_core.remote import remote

    before = wanted.prefix[:-1]
    cursor = Listing(kind.operations["browse"].id, {}).seal(before) if before else ""
    listed: Any = remote(kind, server)
    return cast(Sequence[Any], listed.browse(cursor=cursor, limit=200).items)


def _jobs(server: Server) -> list[str]:
    """Those that are not done, newest first."""
    from mairust_core.model.job import State
    from mairust_core.remote import remote
    from mairust_core.services.jobs import Jobs

    jobs = remote(Jobs, server)
    states = [state for state in State if state is not State.DONE]
    found = [int(one.id) for state in states for one in jobs.browse(state=state, limit=50).items]
    return [str(id_) for id_ in sorted(found, reverse=True)[:50]]


def _of_account(server: Server, wanted: Wanted) -> list[str]:
    """What an account has; a server is not asked for that of everybody."""
    from mairust_core.remote import remote
    from mairust_core.services.accounts import Accounts
    from mairust_core.services.messages import Messages

    messages = remote(Messages, server)
    account = wanted.account
    if not account and wanted.message is not None:
        account = messages.show(str(wanted.message)).account
    if not account:
        return []
    match wanted.kind:
        case "mailboxes":
            return [one.name for one in remote(Accounts, server).mailboxes(account).items]
        case "messages" | "deleted":
            found = messages.browse(account, deleted=wanted.kind == "deleted", limit=50).items
            return [str(int(one.id)) for one in found]
        case "tags":
            newest = messages.browse(account, limit=200).items
            return sorted({tag for one in newest for tag in one.tags})
    return []
