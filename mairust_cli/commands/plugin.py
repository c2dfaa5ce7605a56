"""`mairust plugin`."""

from __future__ import annotations

from typing import Annotated

import typer

from mairust_cli.commands import plugin_life, plugin_packages
from mairust_cli.commands.plugin_installing import INSTALLED, install, rollback, upgrade
from mairust_cli.commands.plugin_review import licensed, review_lines, signed_by
from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import clean, moment
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import PluginId, Yes
from mairust_core.i18n import Listed, Wording, say
from mairust_core.model.plugin_forms import NOTHING, Approved, Plugin, PluginState
from mairust_core.model.plugin_life import PluginUsage
from mairust_core.services.plugins import Plugins

app = noun(COMMANDS["plugin"])

STYLES = {
    PluginState.ENABLED: "green",
    PluginState.PENDING: "yellow",
    PluginState.DISABLED: "dim",
    PluginState.BLOCKED: "red",
}


def _state(plugin: Plugin) -> str | Wording:
    if plugin.pending is None or plugin.state is PluginState.PENDING:
        return plugin.state
    return Wording("plugin.waiting", state=plugin.state, version=plugin.pending.version)


COLUMNS: Columns[Plugin] = (
    Column("Id", lambda plugin: plugin.id),
    Column("Version", lambda plugin: plugin.version),
    Column("State", _state, style=lambda plugin: STYLES.get(plugin.state, "")),
    Column("Protocol", lambda plugin: plugin.entry.way),
    Column("Hooks", lambda plugin: str(len(plugin.hooks)), right=True),
    Column("Name", lambda plugin: plugin.name, shrink=True),
)

FIELDS: Columns[Plugin] = (
    Column("Id", lambda plugin: plugin.id),
    Column("Name", lambda plugin: plugin.name),
    Column("Version", lambda plugin: plugin.version),
    Column("State", _state),
    Column("Author", lambda plugin: plugin.author or "-"),
    Column("Description", lambda plugin: plugin.description or "-"),
    Column("License", lambda plugin: plugin.license or "-"),
    Column("Called by", lambda plugin: _entry(plugin)),
    Column(
        "Files",
        lambda plugin: (
            plugin.directory or (Wording("plugin.package", package=plugin.package) if plugin.package else "-")
        ),
    ),
    Column("Signed by", lambda plugin: signed_by(plugin.signatures)),
    Column("Licensed to", lambda plugin: licensed(plugin.licence)),
    Column("Before", lambda plugin: plugin.previous_version or "-"),
    Column("Hooks", lambda plugin: ", ".join(plugin.hooks) or "-"),
    Column("May", lambda plugin: _permissions(plugin) or "-"),
    Column("Network", lambda plugin: " ".join((plugin.limits.network, *plugin.limits.network_allow))),
    Column("Sandbox", lambda plugin: _sandbox(plugin)),
    Column("Approved", lambda plugin: _approval(plugin)),
    Column("Health", lambda plugin: _health(plugin)),
    Column("Processes", lambda plugin: _workers(plugin)),
    Column("Calls", lambda plugin: _calls(plugin.usage)),
    Column("Today", lambda plugin: _calls(plugin.usage_today)),
    Column("Told", lambda plugin: ", ".join(f"{n} = {v:g}" for n, v in plugin.metrics.items()) or "-"),
)

APPROVED: Columns[Approved] = (
    Column("Id", lambda approved: approved.id),
    Column("Version", lambda approved: approved.version),
    Column("State", lambda approved: approved.state),
    Column("Hooks", lambda approved: ", ".join(approved.hooks) or "-"),
    Column("Secret", lambda approved: approved.secret or "-"),
)


def _entry(plugin: Plugin) -> str:
    entry = plugin.entry
    return f"{entry.way} {entry.endpoint or ' '.join(entry.command)}".strip()


def _permissions(plugin: Plugin) -> str:
    wanted = plugin.permissions
    given = {name: getattr(wanted, name) for name in type(wanted).__dataclass_fields__}
    return ", ".join(
        name if value is True else f"{name} = {value}"
        for name, value in given.items()
        if value is not False and value != "none"
    )


def _sandbox(plugin: Plugin) -> str | Wording:
    if plugin.sandbox is None:
        return "-"
    missing = (Wording("plugin.no_layer", layer=one.layer, why=one.why) for one in plugin.sandbox.missing)
    return Listed((*plugin.sandbox.layers, *missing))


def _health(plugin: Plugin) -> str | Wording:
    found = plugin.health
    if found is None:
        return "-"
    why = f": {found.detail}" if found.detail else ""
    since, asked = moment(found.since), moment(found.checked_at)
    return Wording("plugin.health", state=found.state, since=since, asked=asked, why=why)


def _workers(plugin: Plugin) -> str | Wording:
    found = plugin.workers
    return "-" if found is None else Wording("plugin.workers", alive=found.alive, busy=found.busy)


def _calls(usage: PluginUsage) -> str | Wording:
    if not usage.calls and not usage.skipped:
        return "-"
    failed = Wording("plugin.failed", count=usage.failures)
    told: list[str | Wording] = [f"{usage.calls}", failed, f"{usage.wall_ms / 1000:.1f} s"]
    told += [Wording("plugin.left_out", count=usage.skipped)] if usage.skipped else []
    told += [Wording("plugin.cpu", seconds=f"{usage.cpu_ms / 1000:.1f}")] if usage.cpu_ms else []
    told += [Wording("plugin.memory", size=f"{usage.peak_memory_mb:.0f} MB")] if usage.peak_memory_mb else []
    return Listed(told)


def _approval(plugin: Plugin) -> str:
    return f"{moment(plugin.approved_at)} by {plugin.approved_by}" if plugin.approved_at else "-"


app.command("new", cls=Command)(plugin_packages.new)
app.command("lint", cls=Command)(plugin_packages.lint)
app.command("pack", cls=Command)(plugin_packages.pack)
app.command("sign", cls=Command)(plugin_packages.sign)
app.command("verify", cls=Command)(plugin_packages.verify)
app.command("install", cls=Command)(install)
app.command("upgrade", cls=Command)(upgrade)
app.command("rollback", cls=Command)(rollback)


@app.command("link", cls=Command)
def link(
    ctx: typer.Context,
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The directory with its plugin.toml.")],
) -> None:
    """Register a plugin's directory in place, for developing it.

    Its files are used where they are; link it again after a change of its plugin.toml. What asks for more
    than was approved waits for `plugin approve`, and meanwhile what was approved goes on. Needs
    plugins.allow_unsigned = true in the configuration of the site.

    Exit status: 0 registered; 2 its plugin.toml is wrong; 5 the plugin is blocked; 77 unsigned plugins are
    not allowed.

    Examples:
      mairust plugin link ./spam
    """
    from pathlib import Path

    session = Session.of(ctx)
    session.stay_local("plugin link")
    installed = session.here(Plugins).link(Path(directory).expanduser().resolve())
    session.output.change(installed, INSTALLED)
    session.output.warn(say("plugin.unsigned", session.output.lang, id=clean(installed.id)))
    if installed.state is PluginState.PENDING:
        session.output.note(say("plugin.waits", session.output.lang, id=clean(installed.id)))


@app.command("module", cls=Command)
def module(ctx: typer.Context) -> None:
    """Print the module for plugins in Python, to be copied beside them.

    One file without dependencies: it reads requests, writes answers, verifies signatures and calls back.

    Exit status: 0 printed.

    Examples:
      mairust plugin module > mairust_plugin.py
    """
    session = Session.of(ctx)
    session.stay_local("plugin module")
    from mairust_core.plugins.for_authors import module_text

    session.output.raw([module_text().encode()])


@app.command("approve", cls=Command)
def approve(ctx: typer.Context, id_: PluginId, yes: Yes = False) -> None:
    """Show what a plugin asks for, and give it.

    Its hooks are registered and asked from then on. A plugin that is reached by http or a UNIX socket gets a
    secret, shown this once: it signs what the plugin is sent.

    Exit status: 0 approved, now or before; 1 the answer was no; 4 there is no such plugin; 5 it is blocked,
    or asks for something else by now; 77 not allowed.

    Examples:
      mairust plugin approve com.example.spam --yes
    """
    session = Session.of(ctx)
    plugins = session.operations(Plugins)
    review = plugins.show(id_).pending
    if review is not None:
        for line in review_lines(id_, review, session.output):
            session.output.tell(line)
        session.confirm("approve_plugin", yes, id=id_, version=review.version)
    # what somebody links between the look and the yes is not in it
    approved = plugins.approve_review(id_, NOTHING if review is None else review.id)
    session.output.item(approved, APPROVED)


@app.command("list", cls=Command)
def list_(ctx: typer.Context, limit: Limit = None, cursor: Cursor = None, all_: All = False) -> None:
    """List the plugins, by id.

    One is pending until somebody approved it, then enabled or disabled; blocked when whoever signed it
    revoked that. Of an enabled one a newer version may be pending.

    Exit status: 0 listed.

    Examples:
      mairust plugin list
      mairust plugin list --json
    """
    session = Session.of(ctx)
    plugins = session.operations(Plugins)
    found = pages(lambda after, count: plugins.browse(cursor=after, limit=count), limit, cursor, all_)
    session.output.page(found, COLUMNS)


@app.command("show", cls=Command)
def show(ctx: typer.Context, id_: PluginId) -> None:
    """Show one plugin: what it is, what it may, and what waits for approval.

    Exit status: 0 shown; 4 there is no such plugin.

    Examples:
      mairust plugin show com.example.spam
    """
    session = Session.of(ctx)
    plugin = session.operations(Plugins).show(id_)
    session.output.item(plugin, FIELDS)
    if plugin.pending is not None and not session.output.json:
        session.output.lines([*review_lines(plugin.id, plugin.pending, session.output)])


@app.command("enable", cls=Command)
def enable(ctx: typer.Context, id_: PluginId) -> None:
    """Have the hooks of an approved plugin asked.

    Exit status: 0 enabled, now or before; 4 there is no such plugin; 5 it is not approved, or blocked; 77 it
    is not signed, and unsigned plugins are not allowed.

    Examples:
      mairust plugin enable com.example.spam
    """
    session = Session.of(ctx)
    session.output.change(session.operations(Plugins).enable(id_), FIELDS)


@app.command("disable", cls=Command)
def disable(ctx: typer.Context, id_: PluginId) -> None:
    """Have none of a plugin's hooks asked; mail goes on as if they were not there.

    Exit status: 0 disabled, now or before; 4 there is no such plugin; 5 it was never approved.

    Examples:
      mairust plugin disable com.example.spam
    """
    session = Session.of(ctx)
    session.output.change(session.operations(Plugins).disable(id_), FIELDS)


@app.command("remove", cls=Command)
def remove(
    ctx: typer.Context,
    id_: PluginId,
    purge: Annotated[bool, typer.Option("--purge", help="Drop its packages at once, too.")] = False,
    yes: Yes = False,
) -> None:
    """Forget a plugin with its hooks, their settings and its secret.

    Its packages are dropped some hours later, or at once with --purge. A linked directory stays as it is; so
    do tags and metadata that the plugin gave to mail, which belong to the mail.

    Exit status: 0 removed; 4 there is no such plugin.

    Examples:
      mairust plugin remove com.example.spam --yes
      mairust plugin remove com.example.spam --purge --yes
    """
    session = Session.of(ctx)
    session.confirm("remove_plugin", yes, id=id_)
    session.output.removed(session.operations(Plugins).remove(id_, purge=purge), "plugin")


app.command("rotate-secret", cls=Command)(plugin_life.rotate_secret)
app.add_typer(plugin_life.token_app, name="token")
app.command("logs", cls=Command)(plugin_life.logs)
app.command("accesses", cls=Command)(plugin_life.accesses)
