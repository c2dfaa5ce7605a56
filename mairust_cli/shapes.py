"""What every command prints with `--json`: the types, and the page `docs/reference/json.md` made from them.

A command that is not in `SHAPES` and not in `WITHOUT` fails a test, as does one that prints anything else.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mairust_cli.commands.backup import Created, Listed, Pruned
from mairust_cli.commands.config import Checked
from mairust_cli.commands.db import Schema
from mairust_cli.commands.init import Initialised
from mairust_cli.commands.restore import PutBack
from mairust_cli.files import Exported
from mairust_core.model.account import Account
from mairust_core.model.alias import Alias
from mairust_core.model.audit import Entry
from mairust_core.model.collected import Collected
from mairust_core.model.copies import MovedIn, MovedOut
from mairust_core.model.domain import Domain
from mairust_core.model.finding import Examination
from mairust_core.model.forms import Page, Removed, RemovedById
from mairust_core.model.hook_forms import HookCall, ShownHook
from mairust_core.model.ids import Id
from mairust_core.model.job import Job, JobsChanged
from mairust_core.model.mailbox import Mailbox
from mairust_core.model.message import Changed, Deleted, Message, Summary
from mairust_core.model.package import (
    CheckedPackage,
    GeneratedKey,
    KeyFile,
    Linted,
    MadePlugin,
    Packed,
    SignedPackage,
    WrittenCertificate,
    WrittenLicence,
    WrittenRevocations,
)
from mairust_core.model.plugin_forms import Approved, Installed, Plugin
from mairust_core.model.plugin_life import (
    IssuedPluginToken,
    PluginAccess,
    PluginLogLine,
    PluginToken,
    RotatedSecret,
)
from mairust_core.model.search import Found, IndexStatus
from mairust_core.model.secret import Prepared, Rotated, Secret, SecretsStatus
from mairust_core.model.settings import Export, Setting
from mairust_core.model.status import Overview
from mairust_core.model.story import KINDS, Mail, Story
from mairust_core.model.token import IssuedToken, Token
from mairust_core.model.trial import Replayed, Tried
from mairust_core.model.trust import Revocation, RevocationsTaken, TrustKey
from mairust_core.restore import Restored
from mairust_core.restore.rehearsal import Rehearsed
from mairust_core.transfer.repository.verifying import Verified

SHAPES: dict[str, tuple[Any, ...]] = {
    "init": (Initialised,),
    "domain add": (Domain,),
    "domain list": (Page[Domain],),
    "domain show": (Domain,),
    "domain remove": (Removed,),
    "account add": (Account,),
    "account list": (Page[Account],),
    "account show": (Account,),
    "account edit": (Account,),
    "account passwd": (Account,),
    "account enable": (Account,),
    "account disable": (Account,),
    "account remove": (Removed,),
    "alias add": (Alias,),
    "alias list": (Page[Alias],),
    "alias show": (Alias,),
    "alias remove": (Removed,),
    "mailbox list": (Page[Mailbox],),
    "mailbox create": (Mailbox,),
    "mailbox rename": (Mailbox,),
    "mailbox delete": (Removed,),
    "message append": (Summary,),
    "message list": (Page[Summary], Found),
    "message show": (Message,),
    "message export": (Exported,),
    "message tag": (Changed,),
    "message flag": (Changed,),
    "message move": (Changed,),
    "message delete": (Deleted,),
    "message undelete": (Summary,),
    "message release": (Summary,),
    "search": (Found,),
    "index status": (IndexStatus,),
    "index rebuild": (IndexStatus,),
    "index drop": (IndexStatus,),
    "import maildir": (MovedIn,),
    "import mbox": (MovedIn,),
    "export maildir": (MovedOut,),
    "export mbox": (MovedOut,),
    "plugin new": (MadePlugin,),
    "plugin lint": (Linted,),
    "plugin pack": (Packed,),
    "plugin sign": (SignedPackage,),
    "plugin verify": (CheckedPackage,),
    "plugin install": (Installed,),
    "plugin upgrade": (Installed,),
    "plugin rollback": (Plugin,),
    "plugin link": (Installed,),
    "plugin approve": (Approved,),
    "plugin list": (Page[Plugin],),
    "plugin show": (Plugin,),
    "plugin enable": (Plugin,),
    "plugin disable": (Plugin,),
    "plugin remove": (RemovedById,),
    "plugin rotate-secret": (RotatedSecret,),
    "plugin token create": (IssuedPluginToken,),
    "plugin token list": (Page[PluginToken],),
    "plugin token reissue": (IssuedPluginToken,),
    "plugin token revoke": (PluginToken,),
    "plugin logs": (Page[PluginLogLine],),
    "plugin accesses": (Page[PluginAccess],),
    "message accesses": (Page[PluginAccess],),
    "account accesses": (Page[PluginAccess],),
    "key generate": (GeneratedKey,),
    "key list": (Page[KeyFile],),
    "key certify": (WrittenCertificate,),
    "key revoke": (WrittenRevocations,),
    "key license": (WrittenLicence,),
    "trust add": (TrustKey,),
    "trust list": (Page[TrustKey], Page[Revocation]),
    "trust remove": (RemovedById,),
    "trust import-revocations": (RevocationsTaken,),
    "trust confirm-revocations": (TrustKey,),
    "hook add": (ShownHook,),
    "hook list": (Page[ShownHook],),
    "hook show": (ShownHook,),
    "hook edit": (ShownHook,),
    "hook enable": (ShownHook,),
    "hook disable": (ShownHook,),
    "hook remove": (Removed,),
    "hook reset": (ShownHook,),
    "hook log": (Page[HookCall],),
    "hook test": (Tried,),
    "hook replay": (Page[Replayed],),
    "job list": (Page[Job],),
    "job show": (Job,),
    "job retry": (Job, JobsChanged),
    "job discard": (RemovedById, JobsChanged),
    "job release": (Job, JobsChanged),
    "trace": (Story, Page[Mail]),
    "token create": (IssuedToken,),
    "token list": (Page[Token],),
    "token revoke": (Token,),
    "backup create": (Created,),
    "backup list": (Page[Listed],),
    "backup verify": (Verified,),
    "backup prune": (Pruned,),
    "restore": (Rehearsed, Restored, PutBack),
    "status": (Overview,),
    "doctor": (Examination,),
    "audit list": (Page[Entry],),
    "secrets list": (Page[Secret],),
    "secrets status": (SecretsStatus,),
    "secrets rotate-master": (Rotated, Prepared),
    "gc": (Collected,),
    "config show": (Page[Setting],),
    "config check": (Checked,),
    "config export": (Export,),
    "db upgrade": (Schema,),
    "db check": (Schema,),
}
"""By command, what it may print; of two, the first when it is asked for one thing."""

WITHOUT = {
    "serve": 'one line when it is ready: `{"event": "ready", "smtp", "lmtp", "http", "pid"}`',
    "deliver": "nothing: the exit status is the answer",
    "plugin module": "the module: there is no other form of it",
    "completion": "the script: there is no other form of it",
}
"""Commands whose results are no document, and what they print."""

_HEAD = """# JSON

<!-- Made by `python -m mairust_cli.generate`; tests hold it to what the commands print. -->

With `--json` a command prints exactly one JSON document on stdout, in UTF-8: the body that the
[REST API](rest.md) returns for the same operation. Later versions may add members, and kinds of events; they
take none away.

* Ids are strings of digits, because they exceed 2⁵³. Times are RFC 3339 in UTC, as
  `2026-11-25T22:44:16.421Z`. Sizes are bytes.
* A list is `{"items": […], "next_cursor": text or null}`. `--limit N` makes pages, `--cursor C` continues
  after the page that ended with `next_cursor` C, `--all` prints all of it with `next_cursor` null.
* A command on several messages prints `{"items": […], "failed": [{"id", "error"}]}`: for each that went
  well what it prints of one, and by id why the others did not (exit status 3).
* An error is `{"error": {"code", "message", "hint"}}`, also on stdout; [codes](rest.md#errors) are stable,
  texts are not. The exit status says the same ([command line](cli.md)).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_commands(), *_types(), *_events()]) + "\n"


def _commands() -> Iterator[str]:
    yield "## Commands\n\n| command | prints |\n|---|---|"
    for command, kinds in SHAPES.items():
        yield f"| `mairust {command}` | {', or '.join(_link(kind) for kind in kinds)} |"
    for command, told in WITHOUT.items():
        yield f"| `mairust {command}` | {told} |"


def _link(kind: Any) -> str:
    if get_origin(kind) is Page:
        return f"list of {_link(get_args(kind)[0])}"
    return f"[{kind.__name__}](#{kind.__name__.lower()})"


def _types() -> Iterator[str]:
    yield "\n## Objects"
    for kind in sorted(named_types(), key=lambda kind: kind.__name__):
        yield f"\n### {kind.__name__}\n\n{inspect.cleandoc(kind.__doc__ or '')}"
        yield "\n| member | value |\n|---|---|"
        for name, hint in members(kind).items():
            yield f"| `{name}` | {type_name(hint)} |"


def _events() -> Iterator[str]:
    yield "\n## Events of a story\n"
    yield "Each event of a [Story](#story) has `at`, `kind` and `trace` (the id of its mail, or null), and:\n"
    yield "| `kind` | also |\n|---|---|"
    for kind, names in KINDS.items():
        yield f"| `{kind}` | {', '.join(f'`{name}`' for name in names)} |"


def members(kind: Any) -> dict[str, Any]:
    """The members of an object on the wire, and the types of their values."""
    hints = get_type_hints(kind)
    return {field.name.rstrip("_"): hints[field.name] for field in fields(kind)}


def named_types() -> set[Any]:
    """Every kind of object that some command prints, also within another."""
    return {found for kinds in SHAPES.values() for kind in kinds for found in _within(kind)}


def _within(kind: Any) -> Iterator[Any]:
    if is_dataclass(kind) and isinstance(kind, type):
        yield kind
        for hint in members(kind).values():
            yield from _within(hint)
    for argument in get_args(kind):
        yield from _within(argument)


_PLAIN = {
    Id: "id", str: "text", bool: "true or false", int: "number", float: "number", datetime: "time",
    type(None): "null", Any: "anything",
}  # fmt: skip


def type_name(kind: Any) -> str:
    """A type in words."""
    arguments = get_args(kind)
    if get_origin(kind) is Literal:
        return ", ".join(f'`"{one}"`' for one in arguments)
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(map(type_name, arguments))
    if get_origin(kind) is dict:
        return f"object of {type_name(arguments[1])}" if arguments[1] is not Any else "object"
    if get_origin(kind) in (tuple, list):
        inner = dict.fromkeys(type_name(one) for one in arguments if one is not ...)
        return f"list of {', '.join(inner)}"
    if is_dataclass(kind) and isinstance(kind, type):
        return _link(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f'`"{one.value}"`' for one in kind)
    return _PLAIN[kind]
