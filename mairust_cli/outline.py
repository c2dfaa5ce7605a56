"""The commands as plain data: what manual pages, completions and the reference are made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import typer

from mairust_cli.help_text import HelpText, parse
from mairust_cli.joined import joined_commands
from mairust_cli.options import Options
from mairust_cli.tree import DefaultGroup, Group, root


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """An argument or an option; `metavar` is empty for a flag."""

    names: tuple[str, ...]
    metavar: str
    text: str

    @property
    def value(self) -> str:
        """What follows its names."""
        return "" if self.metavar in self.names else self.metavar

    @property
    def choices(self) -> tuple[str, ...]:
        """The words of which its value is one, where there are but a few."""
        words = tuple(self.metavar.split("|"))
        return () if words == (self.metavar,) or "FILE" in words else words

    @property
    def takes_file(self) -> bool:
        """True when its value is a file or a directory."""
        return self.metavar in {"FILE", "DIR", "PATH", "DEST", "SRC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """One command or group; `path` are its words after `mairust`."""

    path: tuple[str, ...]
    text: HelpText
    usage: str
    arguments: tuple[Parameter, ...]
    options: tuple[Parameter, ...]
    global_options: tuple[Parameter, ...]
    children: tuple[Outline, ...] = ()
    default: str = ""
    """The command that is meant when none of the group's is named."""

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join(("mairust", *self.path))

    def walk(self) -> Iterator[Outline]:
        """This one and everything below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def outline() -> Outline:
    """`mairust` and all its commands."""
    return _outline((), root(), None)


def joined_outline(options: Options) -> Outline:
    """The same with the commands of extensions, by name and summary alone: none is imported."""
    top = outline()
    joined = tuple(
        Outline(
            path=(name,), text=parse(one.summary), usage=f"mairust {name}", arguments=(), options=(),
            global_options=top.global_options,
        )
        for name, one in joined_commands(options, forgiving=True).items()
    )  # fmt: skip
    return replace(top, children=(*top.children, *joined))


def _outline(path: tuple[str, ...], command: Any, parent: typer.Context | None) -> Outline:
    ctx = command.make_context(path[-1] if path else "mairust", [], parent=parent, resilient_parsing=True)
    sections = command.sections(ctx)
    children = command.list_commands(ctx) if isinstance(command, Group) else ()
    return Outline(
        path=path,
        text=command.help_text,
        usage=" ".join((ctx.command_path, *command.collect_usage_pieces(ctx))),
        arguments=tuple(map(_argument, sections["Arguments"])),
        options=tuple(map(_option, sections["Options"])),
        global_options=tuple(map(_option, sections["Global options"])),
        default=next(iter(children), "") if isinstance(command, DefaultGroup) else "",
        children=tuple(_outline((*path, name), command.get_command(ctx, name), ctx) for name in children),
    )


def _argument(param: Any) -> Parameter:
    return Parameter(names=(param.display_name_raw,), metavar=param.display_name_raw, text=param.help or "")


def _option(param: Any) -> Parameter:
    names = tuple(sorted((*param.opts, *param.secondary_opts), key=len))
    text = (param.help or "") + (" Required." if param.required else "")
    return Parameter(names=names, metavar="" if param.is_flag else param.metavar or "VALUE", text=text)
