"""`mairust hook`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from mairust_cli.choices import choice, parse_filter
from mairust_cli.commands.hook_trials import replay, try_on_mail
from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import moment
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import Yes
from mairust_core.errors import Invalid, Usage
from mairust_core.i18n import Wording
from mairust_core.model.breaker import BreakerState
from mairust_core.model.forms import UNSET
from mairust_core.model.hook import PRIORITY, Fallback, Filter, HookType, Mode
from mairust_core.model.hook_forms import (
    FilterForm,
    HookCall,
    HookChange,
    NewHook,
    Outcome,
    ShownHook,
)
from mairust_core.services.hooks import Hooks

app = noun(COMMANDS["hook"])

SETTINGS = tuple(HookChange.__dataclass_fields__)

HookName = Annotated[str, typer.Argument(metavar="NAME", help="As `hook list` shows it.")]
Priority = Annotated[
    int | None, typer.Option("--priority", metavar="N", help=f"Lower runs first (default {PRIORITY}).")
]
Timeout = Annotated[
    int | None,
    typer.Option(
        "--timeout-ms", metavar="N", help="At most 5000 (default 2000), for post_receive 300000 (30000)."
    ),
]
OnTimeout = Annotated[
    str | None,
    typer.Option(
        "--on-timeout",
        metavar="|".join(Fallback),
        help="What counts when it is late (default: tempfail).",
    ),
]
OnError = Annotated[
    str | None,
    typer.Option(
        "--on-error",
        metavar="|".join(Fallback),
        help="What counts when it fails (default: as --on-timeout).",
    ),
]
FilterOption = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="KEY=VALUE", help="The mail it wants; may be repeated, all must hold."),
]
ModeOption = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="|".join(Mode),
        help="In shadow its answers have no effect (default: enforce).",
    ),
]


def filter_text(wanted: Filter) -> str:
    """A filter as it is given."""
    values = {name: getattr(wanted, name) for name in Filter.__dataclass_fields__}
    return " ".join(f"{name}={_spelt(value)}" for name, value in values.items() if value is not None)


def _spelt(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _runs(hook: ShownHook) -> Wording:
    if hook.breaker is not BreakerState.CLOSED:
        return Wording("hook.breaker", state=hook.breaker)
    if hook.running:
        return Wording("hook.running")
    return Wording("hook.plugin_off" if hook.enabled else "hook.disabled")


def _style(hook: ShownHook) -> str:
    if hook.breaker is not BreakerState.CLOSED:
        return "red"
    return "green" if hook.running else "dim"


COLUMNS: Columns[ShownHook] = (
    Column("Name", lambda hook: hook.name),
    Column("Type", lambda hook: hook.type),
    Column("State", _runs, style=_style),
    Column("Mode", lambda hook: hook.mode),
    Column("Priority", lambda hook: str(hook.priority), right=True),
    Column("Time-out", lambda hook: f"{hook.timeout_ms} ms", right=True),
    Column("Filter", lambda hook: filter_text(hook.filter) or "-", shrink=True),
)

FIELDS: Columns[ShownHook] = (
    *COLUMNS[:2],
    Column("Plugin", lambda hook: hook.plugin),
    *COLUMNS[2:6],
    Column("On time-out", lambda hook: hook.on_timeout),
    Column("On error", lambda hook: hook.on_error),
    Column("Filter", lambda hook: filter_text(hook.filter) or "-"),
    Column("Registered by", lambda hook: hook.origin),
    Column("Set here", lambda hook: ", ".join(hook.changed) or "-"),
)

CALLS: Columns[HookCall] = (
    Column("When", lambda call: moment(call.at)),
    Column("Outcome", lambda call: call.outcome, style=lambda call: _outcome_style(call)),
    Column("Action", lambda call: call.action or "-"),
    Column("Mode", lambda call: call.mode),
    Column("ms", lambda call: f"{call.ms:.1f}", right=True),
    Column("Recipient", lambda call: call.recipient or "-", shrink=True),
    Column("Trace", lambda call: str(call.trace_id or "-")),
    Column("Detail", lambda call: call.detail or "-", shrink=True),
)


def _outcome_style(call: HookCall) -> str:
    return "" if call.outcome is Outcome.ANSWERED else "red"


@app.command("add", cls=Command)
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of your own for it.")],
    type_: Annotated[str, typer.Option("--type", metavar="|".join(HookType), help="When it is asked.")],
    plugin: Annotated[str, typer.Option("--plugin", metavar="ID", help="The registered plugin it asks.")],
    priority: Priority = None,
    timeout_ms: Timeout = None,
    on_timeout: OnTimeout = None,
    on_error: OnError = None,
    filter_: FilterOption = None,
    mode: ModeOption = None,
) -> None:
    """Add a hook of a registered plugin, beside those that its plugin.toml declares.

    pre_receive is asked before the reply, pre_delivery for each recipient before storing, post_receive after
    storing. Filters: recipient_matches, recipient_not_matches, sender_matches, sender_not_matches,
    subject_matches (regular expressions of RE2, without look-around), has_attachments, size_gt, size_lt.

    Exit status: 0 added; 2 a bad value; 4 there is no such plugin; 5 there is a hook of that name.

    Examples:
      mairust hook add bills --type pre_delivery --plugin com.example.spam --filter subject_matches=Bill
      mairust hook add watch --type pre_receive --plugin com.example.spam --mode shadow --on-timeout allow
    """
    session = Session.of(ctx)
    new = NewHook(
        name=name,
        type=choice(HookType, "type", type_),
        plugin=plugin,
        mode=choice(Mode, "mode", mode) if mode else None,
        priority=priority,
        timeout_ms=timeout_ms,
        on_timeout=choice(Fallback, "on_timeout", on_timeout) if on_timeout else None,
        on_error=choice(Fallback, "on_error", on_error) if on_error else None,
        filter=parse_filter(filter_) if filter_ else None,
    )
    session.output.change(session.operations(Hooks).add(new), FIELDS)


@app.command("list", cls=Command)
def list_(
    ctx: typer.Context,
    plugin: Annotated[
        str | None, typer.Option("--plugin", metavar="ID", help="Only the hooks of this plugin.")
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List the hooks, by name.

    One is running, disabled, of a plugin that is not enabled, or not called because its breaker is open: it
    failed too often.

    Exit status: 0 listed.

    Examples:
      mairust hook list
      mairust hook list --plugin com.example.spam --json
    """
    session = Session.of(ctx)
    hooks = session.operations(Hooks)
    found = pages(
        lambda after, count: hooks.browse(plugin=plugin or "", cursor=after, limit=count), limit, cursor, all_
    )
    session.output.page(found, COLUMNS)


@app.command("show", cls=Command)
def show(ctx: typer.Context, name: HookName) -> None:
    """Show one hook as it is in force.

    Exit status: 0 shown; 4 there is no such hook.

    Examples:
      mairust hook show com.example.spam:pre_receive
    """
    session = Session.of(ctx)
    session.output.item(session.operations(Hooks).show(name), FIELDS)


@app.command("edit", cls=Command)
def edit(
    ctx: typer.Context,
    name: HookName,
    priority: Priority = None,
    timeout_ms: Timeout = None,
    on_timeout: OnTimeout = None,
    on_error: OnError = None,
    filter_: FilterOption = None,
    no_filter: Annotated[bool, typer.Option("--no-filter", help="Have it asked about all mail.")] = False,
    mode: ModeOption = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="KEY", help=f"Take back what was set: {', '.join(SETTINGS)}."),
    ] = None,
) -> None:
    """Set some of a hook; what is set survives upgrades of its plugin.

    What is left out stays. --filter replaces the whole filter. What is taken back with --unset, which may be
    repeated, is again as the plugin declares it.

    Exit status: 0 set; 2 a bad value, or nothing to set; 4 there is no such hook.

    Examples:
      mairust hook edit com.example.spam:pre_receive --mode shadow
      mairust hook edit com.example.spam:pre_receive --filter size_lt=1M --timeout-ms 500
      mairust hook edit com.example.spam:pre_receive --unset mode --unset filter
    """
    session = Session.of(ctx)
    if filter_ and no_filter:
        raise Usage("filter_and_none")
    given = HookChange(
        mode=choice(Mode, "mode", mode) if mode else UNSET,
        priority=UNSET if priority is None else priority,
        timeout_ms=UNSET if timeout_ms is None else timeout_ms,
        on_timeout=choice(Fallback, "on_timeout", on_timeout) if on_timeout else UNSET,
        on_error=choice(Fallback, "on_error", on_error) if on_error else UNSET,
        filter=FilterForm() if no_filter else parse_filter(filter_) if filter_ else UNSET,
    )
    wanted = replace(given, **_taken_back(unset or (), given))
    if not wanted.given():
        raise Usage("nothing_to_set")
    session.output.change(session.operations(Hooks).edit(name, wanted), FIELDS)


def _taken_back(keys: Sequence[str], given: HookChange) -> dict[str, None]:
    for key in keys:
        if key not in SETTINGS:
            raise Invalid("unset", "not_choice", value=repr(key[:40]), known=", ".join(SETTINGS))
        if key in given.given():
            raise Usage("set_and_unset", key=key)
    return dict.fromkeys(keys)


@app.command("enable", cls=Command)
def enable(ctx: typer.Context, name: HookName) -> None:
    """Have a hook asked, if its plugin is enabled.

    Exit status: 0 enabled, now or before; 4 there is no such hook.

    Examples:
      mairust hook enable com.example.spam:pre_receive
    """
    session = Session.of(ctx)
    session.output.change(session.operations(Hooks).enable(name), FIELDS)


@app.command("disable", cls=Command)
def disable(ctx: typer.Context, name: HookName) -> None:
    """Have a hook not asked any more; mail goes on as if it were not there.

    Exit status: 0 disabled, now or before; 4 there is no such hook.

    Examples:
      mairust hook disable com.example.spam:pre_receive
    """
    session = Session.of(ctx)
    session.output.change(session.operations(Hooks).disable(name), FIELDS)


@app.command("remove", cls=Command)
def remove(ctx: typer.Context, name: HookName, yes: Yes = False) -> None:
    """Remove a hook.

    One that its plugin declares stays away when the plugin is upgraded; `hook add` with its name brings it
    back.

    Exit status: 0 removed; 4 there is no such hook.

    Examples:
      mairust hook remove com.example.spam:pre_receive --yes
    """
    session = Session.of(ctx)
    session.confirm("remove_hook", yes, name=name)
    session.output.removed(session.operations(Hooks).remove(name), "hook")


@app.command("reset", cls=Command)
def reset(ctx: typer.Context, name: HookName) -> None:
    """Have a hook called again whose breaker is open, at once.

    A breaker opens when a hook fails on several messages in a row; then what counts is its on_error, until it
    is tried again after a minute.

    Exit status: 0 its breaker is closed, now or before; 4 there is no such hook.

    Examples:
      mairust hook reset com.example.spam:pre_receive
    """
    session = Session.of(ctx)
    session.output.change(session.operations(Hooks).reset(name), FIELDS)


@app.command("log", cls=Command)
def log(
    ctx: typer.Context,
    name: HookName,
    outcome: Annotated[
        str | None,
        typer.Option("--outcome", metavar="|".join(Outcome), help="Only calls of which this came."),
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List the calls of a hook, newest first, and what came of each.

    What it was sent is not kept; `mairust trace ID` tells of the mail. Calls are kept for
    telemetry.trace_days.

    Exit status: 0 listed; 2 no such outcome; 4 there is no such hook.

    Examples:
      mairust hook log com.example.spam:pre_receive
      mairust hook log com.example.spam:pre_receive --outcome failed --limit 5
    """
    session = Session.of(ctx)
    hooks = session.operations(Hooks)
    wanted = choice(Outcome, "outcome", outcome) if outcome else None
    found = pages(
        lambda after, count: hooks.log(name, outcome=wanted, cursor=after, limit=count),
        limit,
        cursor,
        all_,
    )
    session.output.page(found, CALLS)


app.command("test", cls=Command)(try_on_mail)
app.command("replay", cls=Command)(replay)
