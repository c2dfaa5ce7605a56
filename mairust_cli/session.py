"""What a command works with: settings, operations on the local site or on a server, and output."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, TextIO, TypeVar

from mairust_cli.options import Options
from mairust_cli.output import Output
from mairust_cli.text import clean
from mairust_core.errors import Unauthenticated, Usage
from mairust_core.i18n import LANGUAGES, Wording, asked, say

if TYPE_CHECKING:
    from pathlib import Path

    import typer

    from mairust_core.app import Site
    from mairust_core.config import Settings
    from mairust_core.operations import Service
    from mairust_core.remote import Server

    S = TypeVar("S", bound=Service)


class Session:
    """One run of one command; closes what it opened."""

    def __init__(
        self, options: Options, env: Mapping[str, str], stdin: TextIO | None, output: Output
    ) -> None:
        self.options = options
        self.env = env
        self._stdin = stdin
        self.output = output
        self._stack = ExitStack()
        self._site: Site | None = None
        self._server: Server | None = None
        self._hears_log = False

    @classmethod
    def of(cls, ctx: typer.Context) -> Session:
        """The session of a command, all global options known by now."""
        options = ctx.find_object(Options) or Options()
        output = Output(
            stdout=sys.stdout,
            stderr=sys.stderr,
            env=os.environ,
            json=options.json,
            quiet=options.quiet,
            lang=language(options, os.environ),
        )
        return ctx.with_resource(cls(options, os.environ, sys.stdin, output))

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def stdin(self) -> TextIO:
        """Stdin as text; raises `Usage` when the caller closed it."""
        if self._stdin is None:
            raise Usage("no_stdin")
        return self._stdin

    @property
    def input_bytes(self) -> BinaryIO:
        """Stdin as bytes."""
        return self.stdin.buffer

    @property
    def server_url(self) -> str:
        """The server to work on, empty for the local site."""
        return self.options.server or self.env.get("MAIRUST_SERVER", "")

    def operations(self, kind: type[S]) -> S:
        """The operations of one noun, here or on the server."""
        if self.server_url:
            from mairust_core.remote import remote

            return remote(kind, self._remote_server())
        return self.here(kind)

    def here(self, kind: type[S]) -> S:
        """The service of one noun on the local site, whatever server is named: with what no server can do."""
        from mairust_core.model.principal import Principal

        return self._local_site().service(kind, Principal.local(os_user()))

    def stay_local(self, command: str) -> None:
        """Say that a command works on this machine only; raises `Usage` when a server is asked for."""
        if self.options.server:
            raise Usage("local_only", command=command)
        if self.env.get("MAIRUST_SERVER"):
            self.output.note(say("session.local_only", self.output.lang, command=command))

    def settings(self, overrides: Mapping[str, object] | None = None) -> Settings:
        """The configuration in force; raises `BadConfig`."""
        from mairust_core.config import load_settings

        return load_settings(
            config_file=self.options.config_file,
            data_dir=self.options.data_directory,
            env=self.env,
            overrides=overrides,
        )

    def backup_cache(self) -> Path:
        """Where is kept what is known of encrypted repositories that cannot be read here."""
        from pathlib import Path

        if self.server_url:
            home = self.env.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
            return Path(home) / "mairust" / "backup"
        return self.settings().data_dir / "backup" / "known"

    def hear_log(self) -> None:
        """Tell from now on what is logged, as warnings; for what works on files of this machine."""
        if not self._hears_log:
            from mairust_cli.heard import heard  # not before: it costs what needs no log its start

            self._hears_log = True
            self._stack.enter_context(heard(self.output))

    def confirm(self, question: str, yes: bool, **values: object) -> None:
        """Return when it may be done; asks on a terminal, elsewhere `--yes` must say so.

        The text is `question.QUESTION` of the catalogue. Raises `Usage` without either, and `SystemExit` when
        the answer is no.
        """
        if yes:
            return
        if not self._somebody_is_there():
            raise Usage("needs_yes", question=asked(question, self.output.lang, values)[0])
        self._ask(question, values)

    def agree(self, question: str, yes: bool, **values: object) -> None:
        """`confirm` for what destroys nothing: where nobody can be asked, nobody need be."""
        if not yes and self._somebody_is_there():
            self._ask(question, values)

    def _somebody_is_there(self) -> bool:
        return self._stdin is not None and self._stdin.isatty() and not self.options.json

    def _ask(self, question: str, values: Mapping[str, object]) -> None:
        asked_for, answers = asked(question, self.output.lang, values)
        print(f"{clean(asked_for)} {answers} ", end="", file=self.output.stderr, flush=True)
        if self.stdin.readline().strip().lower() not in {"y", "yes"}:
            self.output.note(say("session.unchanged", self.output.lang))
            raise SystemExit(1)

    def _local_site(self) -> Site:
        if self._site is None:
            from mairust_core.app import opened

            self.hear_log()
            self._site = self._stack.enter_context(opened(self.settings()))
        return self._site

    def _remote_server(self) -> Server:
        if self._server is None:
            from pathlib import Path

            from mairust_core.remote import Server
            from mairust_core.remote_http import checked_url

            checked_url(self.server_url)  # before a key is asked for, which a mistyped address does not need
            ca_file = self.options.ca_file
            self._server = Server(
                url=self.server_url,
                token=self._token(),
                ca_file=Path(ca_file) if ca_file else None,
                language=self.output.lang,
            )
            self._stack.callback(self._server.close)
        return self._server

    def _token(self) -> str:
        path = self.options.token_file
        if path is None:
            if token := self.env.get("MAIRUST_TOKEN", "").strip():
                return token
            raise Unauthenticated("no_token", url=self.server_url)
        try:
            with open(path, encoding="ascii") as file:
                token = file.readline(4096).strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or Wording("file.no_text")
            raise Usage("token_file", path=path, why=why) from error
        if not token:
            raise Unauthenticated("empty_token_file", path=path)
        return token


def os_user() -> str:
    """The name of the person or service at the shell, for the audit."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def language(options: Options, env: Mapping[str, str]) -> str:
    """The language of messages: `--lang`, then MAIRUST_LANG, then LANG; raises `Usage` for a wrong one."""
    if options.lang is not None and options.lang not in LANGUAGES:
        raise Usage("language", lang=options.lang[:20], known=", ".join(LANGUAGES))
    wanted = options.lang or env.get("MAIRUST_LANG") or env.get("LANG", "")
    return next((lang for lang in LANGUAGES if wanted.lower().startswith(lang)), LANGUAGES[0])


def secret_line(stdin: TextIO, prompt: str) -> str:
    """One line from stdin without its line end; on a terminal it is not echoed."""
    if stdin.isatty():
        from getpass import getpass

        return getpass(prompt)
    return stdin.readline().rstrip("\r\n")
