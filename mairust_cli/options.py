"""The global options, accepted before and after the command."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
import typer.main


@dataclass(slots=True)
class Options:
    """What the global options say; where one is given twice, the later wins."""

    config: str | None = None
    data_dir: str | None = None
    server: str | None = None
    token_file: str | None = None
    ca_file: str | None = None
    lang: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    words: tuple[str, ...] = ()
    """The command line as it was given: what is to be told may have to be before all of it is understood."""

    @property
    def given(self) -> tuple[str, ...]:
        """The words before `--`, behind which none is an option."""
        return self.words[: self.words.index("--")] if "--" in self.words else self.words

    def look_for_language(self) -> None:
        """Take `--lang` from the words where it was not come to, as behind `--help` or a mistake."""
        pairs = [
            *itertools.pairwise(self.given),
            *(tuple(word.split("=", 1)) for word in self.given if "=" in word),
        ]
        self.lang = self.lang or next((value for name, value in pairs if name == "--lang"), None)

    @property
    def config_file(self) -> Path | None:
        """The configuration file that `--config` names."""
        return Path(self.config) if self.config is not None else None

    @property
    def data_directory(self) -> Path | None:
        """The directory that `--data-dir` names."""
        return Path(self.data_dir) if self.data_dir is not None else None


def _keep(ctx: typer.Context, param: typer.CallbackParam, value: Any) -> Any:
    options = ctx.find_object(Options)
    if options is not None and value not in (None, False):
        setattr(options, param.name, value)
    return value


def _version(value: bool | None) -> None:
    if value:
        from mairust_cli.output import told_if_full
        from mairust_core import __version__

        with told_if_full():
            typer.echo(f"mairust {__version__}")
        raise typer.Exit


def _option(*names: str, metavar: str | None = None, text: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=text, callback=_keep, expose_value=False)


def _global_options(
    config: Annotated[
        str | None, _option("--config", metavar="FILE", text="Configuration file; also MAIRUST_CONFIG.")
    ] = None,
    data_dir: Annotated[
        str | None, _option("--data-dir", metavar="DIR", text="Where the site lives; also MAIRUST_DATA_DIR.")
    ] = None,
    server: Annotated[
        str | None,
        _option("--server", metavar="URL", text="Work on the server at URL; also MAIRUST_SERVER."),
    ] = None,
    token_file: Annotated[
        str | None,
        _option(
            "--token-file", metavar="FILE", text="File with the API key for --server; key: MAIRUST_TOKEN."
        ),
    ] = None,
    ca_file: Annotated[
        str | None, _option("--ca-file", metavar="FILE", text="Certificates (PEM) to trust for --server.")
    ] = None,
    json: Annotated[bool | None, _option("--json", text="Print one JSON document, as the API does.")] = None,
    quiet: Annotated[bool | None, _option("--quiet", text="No notes, no result of a change.")] = None,
    verbose: Annotated[bool | None, _option("--verbose", text="With an error, its traceback.")] = None,
    lang: Annotated[
        str | None,
        _option("--lang", metavar="en|ja", text="Language of messages; also MAIRUST_LANG, LANG."),
    ] = None,
    version: Annotated[
        bool | None,
        typer.Option(
            "--version",
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Print the version and exit.",
        ),
    ] = None,
) -> None:
    """Holds the declarations; never called."""


@lru_cache(maxsize=1)
def global_params() -> tuple[typer.core.TyperOption, ...]:
    """The global options as parameters of a command."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(_global_options)
    return tuple(p for p in typer.main.get_command(app).params if isinstance(p, typer.core.TyperOption))
