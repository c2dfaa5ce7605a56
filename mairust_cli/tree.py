"""The commands as a tree: branches are loaded when they are called, global options are taken anywhere.

Values are converted by pydantic only where a command's parameter is more than text: importing it costs
more than many a command does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer
import typer.core
import typer.main

from mairust_cli.help_text import HelpText, parse
from mairust_cli.joined import joined_commands, load_joined
from mairust_cli.options import Options, global_params
from mairust_cli.output import told_if_full
from mairust_cli.session import language
from mairust_core.errors import Usage

if TYPE_CHECKING:
    from mairust_core.installed.offers import OfferedCommand

COMMANDS = {
    "init": "Create the configuration, data directory, database and first admin key.",
    "serve": "Run the server: SMTP, LMTP, HTTP API and background work.",
    "domain": "Manage the domains for which this site takes mail.",
    "account": "Manage the accounts, who own mail.",
    "alias": "Manage aliases, whose mail goes to other addresses.",
    "mailbox": "Manage the mailboxes of an account.",
    "message": "Append, list, show, change and delete messages.",
    "import": "Bring in mail from a Maildir or mbox.",
    "export": "Write mail out as a Maildir or mbox.",
    "plugin": "Make, pack, sign, install, approve and remove plugins, which hooks ask.",
    "key": "Make keys that sign plugins, and say with root keys what is trusted.",
    "trust": "Say whose signatures on plugins count, and import what they revoked.",
    "hook": "Manage where plugins are asked about mail, and try them out.",
    "job": "Watch and steer what is done later.",
    "trace": "Tell all that happened to one mail, or list the mails that came.",
    "search": "Find an account's messages that match, newest first.",
    "index": "Manage the index that makes searches fast.",
    "token": "Manage API keys.",
    "backup": "Keep snapshots of the site in a repository, verify and prune them.",
    "restore": "Bring back a site, or mail into one, from a backup.",
    "status": "Show on one screen what is going on.",
    "doctor": "Look for what is wrong with the site, and say what mends it.",
    "audit": "See who changed what.",
    "secrets": "Show stored secrets, rotate the master key.",
    "gc": "Give back the room of what nobody needs any more.",
    "config": "Show, check and export the configuration.",
    "db": "Check and upgrade the database schema.",
    "deliver": "Store one message read from stdin, for a mail server's pipe.",
    "completion": "Print a completion script for a shell.",
}
"""Every command of the root, in the order of its help, with the first line of its own."""

MODULES = {"import": "importing", "export": "exporting"}
"""Commands whose module has another name: these words are Python's, or nearly so."""

CONTEXT = {"help_option_names": ["-h", "--help"]}

P = TypeVar("P", typer.core.TyperOption, typer.core.TyperArgument)


class _Coercion:
    """Conversion of a parameter's value that leaves missing values and plain text to themselves."""

    def __init__(self, param: typer.core.TyperOption | typer.core.TyperArgument, converter: Any) -> None:
        self._kind = param.type_descriptor.annotation
        self._many = param.nargs != 1 or getattr(param, "multiple", False)
        self._converter = converter

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None:
            return () if self._many else None
        if self._kind is str and isinstance(value, str):
            return value
        if self._kind == list[str]:
            return list(value)
        return self._converter().coerce(value, param=param, ctx=ctx)


class _Option(typer.core.TyperOption):
    def get_runtime_param(self) -> Any:
        return _Coercion(self, super().get_runtime_param)


class _Argument(typer.core.TyperArgument):
    def get_runtime_param(self) -> Any:
        return _Coercion(self, super().get_runtime_param)

    def get_usage_pieces(self, ctx: Any) -> list[str]:
        return [self.display_name_raw]

    def get_help_record(self, ctx: Any) -> tuple[str, str] | None:
        return self.display_name_raw, self.help or ""


def _late(param: Any) -> Any:
    """The same parameter, converted as late as possible."""
    kind = _Option if isinstance(param, typer.core.TyperOption) else _Argument
    twin = object.__new__(kind)
    vars(twin).update(vars(param))
    return twin


def _show_help(ctx: Any, _: Any, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        with told_if_full():
            typer.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


class _Described:
    """Help in our shape, for commands and groups alike."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["params"] = [_late(param) for param in kwargs.get("params") or ()]
        kwargs["context_settings"] = CONTEXT
        super().__init__(*args, **kwargs)
        self._globals = [_late(param) for param in global_params()]

        self._late_help: Any = None

    def get_help_option(self, ctx: Any) -> Any:
        if self._late_help is None:
            self._late_help = _late(super().get_help_option(ctx))  # type: ignore[misc]  # of the mixed class
            self._late_help.callback = _show_help
        return self._late_help

    @property
    def help_text(self) -> HelpText:
        """What the command's docstring says."""
        return parse(getattr(self, "help", None) or "")

    def own_params(self, ctx: Any) -> list[Any]:
        """The parameters without the global ones."""
        own: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of the class it is mixed into
        return own

    def get_params(self, ctx: Any) -> list[Any]:
        return [*self.own_params(ctx), *self._globals]

    def sections(self, ctx: Any) -> dict[str, list[Any]]:
        """The parameters under the titles of the help."""
        own = self.own_params(ctx)
        return {
            "Arguments": [param for param in own if param.param_type_name == "argument"],
            "Options": [p for p in own if p.param_type_name == "option" and p.name != "help"],
            "Global options": [*self._globals, *(param for param in own if param.name == "help")],
        }

    def get_help(self, ctx: Any) -> str:
        options = ctx.find_object(Options) or Options()
        options.look_for_language()
        lang = language(options, os.environ)
        if lang == "en":
            return str(super().get_help(ctx))  # type: ignore[misc]  # of the class it is mixed into
        from mairust_cli.help_page import HelpPage  # not before: the help of most costs nothing of it

        page = HelpPage(lang, ctx.make_formatter().width)
        self.format_help(ctx, page)  # type: ignore[attr-defined]
        return page.getvalue().rstrip("\n")

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        text = self.help_text
        for paragraph in (text.summary, *text.paragraphs):
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(paragraph)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)
        for title, params in self.sections(ctx).items():
            if rows := [row for param in params if (row := param.get_help_record(ctx))]:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """A command has none."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        text = self.help_text
        if text.exits:
            with formatter.section("Exit status"):
                formatter.write_text(text.exits)
        if text.examples:
            with formatter.section("Examples"):
                for line in text.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Command(_Described, typer.core.TyperCommand):
    """One command."""


class Group(_Described, typer.core.TyperGroup):
    """A noun with its commands."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"subcommand_metavar": "COMMAND …"}))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            self.missing_command(ctx)
        rest: list[str] = super().parse_args(ctx, args)
        return rest

    def missing_command(self, ctx: Any) -> None:
        """Refuse a call that names no command."""
        raise Usage("no_command", group=ctx.command_path)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        names = self.list_commands(ctx)
        if args[0] in names or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        return self.refuse(ctx, args[0], names)

    def refuse(self, ctx: Any, name: str, names: list[str]) -> NoReturn:
        """Say that there is no command of that name, and which one may be meant."""
        like = get_close_matches(name, names, 1)
        values = {"name": name[:40], "group": ctx.command_path}
        if like:
            raise Usage("unknown_command_like", **values, like=f"{ctx.command_path} {like[0]}")
        raise Usage("unknown_command", **values)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(self.summaries(ctx))

    def summaries(self, ctx: Any) -> list[tuple[str, str]]:
        """Each command with its one line."""
        return [(name, parse(command.help or "").summary) for name, command in self.commands.items()]


class DefaultGroup(Group):
    """A noun whose first command may be left out: what is no command is its first argument."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-") and not ctx.resilient_parsing:
            args = [names[0], *args]
        return super().resolve_command(ctx, args)


class Root(Group):
    """`mairust` itself: a command is imported when it is called, and the help needs none of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._found: dict[str, OfferedCommand] | None = None

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS:
            return load(cmd_name)
        found = self._joined(ctx).get(cmd_name)
        return None if found is None else load_joined(cmd_name, found)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in COMMANDS or ctx.resilient_parsing or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        name = args[0]
        if name not in self._joined(ctx, args[1:]):
            self.refuse(ctx, name, [*COMMANDS, *self._joined(ctx)])
        return name, self.get_command(ctx, name), args[1:]

    def summaries(self, ctx: Any) -> list[tuple[str, str]]:
        joined = self._joined(ctx, forgiving=True)
        return [*COMMANDS.items(), *((name, one.summary) for name, one in joined.items())]

    def _joined(
        self, ctx: Any, rest: Sequence[str] = (), *, forgiving: bool = False
    ) -> dict[str, OfferedCommand]:
        """The commands of extensions; looked for when the help or a name that is none of ours needs them."""
        if self._found is None:
            self._found = joined_commands(ctx.find_object(Options) or Options(), rest, forgiving=forgiving)
        return self._found

    def missing_command(self, ctx: Any) -> None:
        typer.echo(ctx.get_help(), err=True)
        raise typer.Exit(Usage.exit_code)


def load(name: str) -> Any:
    """The command or group of that name, imported."""
    app: typer.Typer = import_module(f"mairust_cli.commands.{MODULES.get(name, name)}").app
    command = typer.main.get_command(app)
    command.name = name
    return command


def noun(help_text: str, cls: type[Group] = Group) -> typer.Typer:
    """An app for the commands of one noun."""
    app = typer.Typer(cls=cls, help=help_text, add_completion=False, rich_markup_mode=None)
    app.callback()(_nothing)
    return app


def single() -> typer.Typer:
    """An app for a command of the root."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def _nothing() -> None:
    """Makes a group also of a single command."""


def root() -> Root:
    """`mairust` with everything below it."""
    return Root(
        name="mairust",
        help=_ROOT_HELP,
        subcommand_metavar="COMMAND …",
        options_metavar="[GLOBAL OPTIONS]",
        rich_markup_mode=None,
    )


_ROOT_HELP = """Run and manage a MaiRust mail server, here or, with --server, elsewhere.

Without --server a command works on the local site, also while a server runs on it.

New here: `init` makes a site, `serve` runs it (and makes one where there is none), `domain add` and `account
add` say whose mail it takes, `doctor` names what is missing. `mairust COMMAND --help` tells more of each.

Exit status: 0 done; 1 failed; 2 usage or a bad value; 3 finished with some items failed; 4 not found;
5 conflict; 75 temporary, try again; 77 not allowed; 78 bad configuration or no site there; 130 interrupted.

Examples:
  mairust init
  mairust domain add example.org
  mairust account add ann@example.org
  mairust doctor
  mairust trace --since 1h --json
"""
