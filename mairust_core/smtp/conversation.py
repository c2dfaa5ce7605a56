"""What every session does: admit the client, then command after command until the end.

aiosmtpd's table of command methods is used; its client loop is replaced by one that reads lines in place.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from mairust_core.smtp import replies
from mairust_core.smtp.connection import ClientConnection, Phase
from mairust_core.smtp.inbox import BLANKS
from mairust_core.smtp.trusted import Client, read_proxy_header

if TYPE_CHECKING:
    from mairust_core.model.reply import Reply

log = logging.getLogger("mairust.smtp")

MAIL_COMMANDS = frozenset({"MAIL", "RCPT", "DATA", "BDAT", "QUIT"})
"""What brings mail nearer; all else is junk when it goes on for long."""
HTTP_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
"""Verbs of a client that speaks HTTP: in the body of its request somebody else may have put commands."""
COALESCED_REPLIES = 100
"""So many replies of pipelined commands wait for one write (RFC 2920 §3.2)."""


class Conversation(ClientConnection, ABC):
    """The part of a session that knows commands but not what they mean."""

    async def _handle_client(self) -> None:
        try:
            if await self._admitted():
                self.greet()
                await self._converse()
        except (ConnectionError, TimeoutError, ssl.SSLError) as error:
            log.debug("%s connection lost: %s", self.id, error)
        except Exception:
            log.exception("%s session failed", self.id)
            self.say(replies.INTERNAL_ERROR)
        finally:
            self._set_post_data_state()
            self._close()

    async def _admitted(self) -> bool:
        """Learn who the client is; False when it may not stay."""
        name = self._writer.get_extra_info("peername")
        at_socket = Client(ip=name[0], port=name[1]) if isinstance(name, tuple) else Client()
        if at_socket.ip is not None:
            self.trusted = self.settings.trusted.contains(at_socket.ip)
        elif self._writer.get_extra_info("socket").family == socket.AF_UNIX:
            self.trusted = True  # its permissions say who gets here at all
        else:
            log.debug("%s connection was reset before it was accepted", self.id)
            return False
        refusal = self._refusal or self.peer_refusal()
        if refusal is None and self.trusted and self.settings.proxy_protocol:
            client = await self._proxied(at_socket)
            if client is None:
                return False
            if client is not at_socket:
                at_socket = client
                self.trusted = client.ip is not None and self.settings.trusted.contains(client.ip)
        self.client = Client() if self.trusted else at_socket
        if refusal is None and at_socket.ip is not None:
            refusal = self._gate.enter_address(at_socket.ip)
            self._counted_ip = at_socket.ip if refusal is None else ""
        if refusal is not None:
            log.info("%s refused %s: %s", self.id, at_socket.ip, refusal)
            self.say(refusal)
            self._peer_done = True  # who is not let in is not waited for
        return refusal is None

    def peer_refusal(self) -> Reply | None:
        """Why this peer may not speak at all; None for everybody."""
        return None

    async def _proxied(self, peer: Client) -> Client | None:
        self._phase, self._since = Phase.HANDSHAKE, self.loop.time()
        try:
            client = await read_proxy_header(self.inbox, peer)
        except asyncio.IncompleteReadError:
            client = None
        finally:
            self._phase = Phase.BUSY
        if client is None:
            log.warning("%s from %s: no valid PROXY header, connection dropped", self.id, peer.ip)
        return client

    @abstractmethod
    def greet(self) -> None:
        """Say who we are (RFC 5321 §3.1)."""

    async def _converse(self) -> None:
        asked_at = self.loop.time()
        while not self._closing:
            line = self.inbox.line(self.limits.line_bytes)
            if line is None:
                if self._stopping and not self.in_transaction():
                    self.say(replies.SHUTTING_DOWN)
                # Since the last command, not the last byte: one byte a minute is idle, too.
                elif not await self.more(Phase.COMMAND, asked_at):
                    return
                continue
            await self._command(line)
            if len(self._out) > COALESCED_REPLIES:
                await self.flush()
            asked_at = self.loop.time()

    async def _command(self, line: bytes) -> None:
        self._failed = False
        verb, argument = self._read_command(line)
        method = self._smtp_methods.get(verb)
        if method is not None:
            log.debug("%s > %s", self.id, verb)
            await method(argument)
        elif verb in HTTP_METHODS:
            self.say(replies.NOT_HTTP)
        elif verb:
            # What is not a command may be a password: neither logged nor repeated (trap A3).
            self.say(replies.UNKNOWN_COMMAND)
        if verb != "BDAT" and line.lstrip(BLANKS)[:4].upper() == b"BDAT":
            # Where its chunk ends is unknown, and content must never be read as commands.
            self.say(replies.BDAT_UNREADABLE)
        self._count(verb)

    def _read_command(self, line: bytes) -> tuple[str, str | None]:
        """The verb and its argument; an empty verb when the line was refused."""
        if not line.endswith(b"\n"):
            self.say(replies.LINE_TOO_LONG)
        elif not line.endswith(b"\r\n"):
            self.say(replies.BARE_NEWLINE_IN_COMMAND)
        elif (text := _command_text(line[:-2].rstrip(b" \t"))) is None:
            self.say(replies.BAD_CHARACTERS)
        else:
            verb, _, argument = text.partition(" ")
            return verb.upper() or "?", argument.strip(" ") or None
        return "", None

    def _count(self, verb: str) -> None:
        """Hold the client to its budget of errors and of commands that lead nowhere (trap S4)."""
        if self._failed and not (verb == "RCPT" and self.refusals_are_free()):
            self._errors += 1
        if verb not in MAIL_COMMANDS and not self.trusted:
            self._junk += 1
        if self._closing:
            return
        if self._errors > self.limits.max_errors:
            self.say(replies.TOO_MANY_ERRORS)
        elif self._junk > self.limits.max_junk_commands:
            self.say(replies.TOO_MANY_COMMANDS)

    def refusals_are_free(self) -> bool:
        """Whether unknown recipients count as errors of this client: a front server only passes them on."""
        return self.trusted

    def forgive(self) -> None:
        """A mail was accepted: the budgets are whole again."""
        self._errors = self._junk = 0


def _command_text(line: bytes) -> str | None:
    """The line as text; None for control characters, broken UTF-8 or a verb beyond ASCII."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    if text.isascii():
        return text if text.isprintable() else None
    # Joiners are legal in names; other invisible characters (bidi overrides …) are not.
    visible = text.replace("\u200c", "").replace("\u200d", "").isprintable()
    return text if visible and text.partition(" ")[0].isascii() else None
