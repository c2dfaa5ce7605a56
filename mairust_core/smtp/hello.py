"""Who talks to whom: HELO, EHLO, STARTTLS, XCLIENT, XFORWARD."""

# ruff: noqa: N802 -- aiosmtpd finds commands by these names

from __future__ import annotations

import asyncio
import logging

from aiosmtpd.smtp import syntax

from mairust_core import tls
from mairust_core.model.envelope import Connection
from mairust_core.model.reply import Reply
from mairust_core.smtp import replies
from mairust_core.smtp.conversation import Conversation
from mairust_core.smtp.trusted import XCLIENT_ATTRIBUTES, XFORWARD_ATTRIBUTES, Client, with_attributes

log = logging.getLogger("mairust.smtp")


class HelloSession(Conversation):
    """The part of a session that knows the client but no mail yet."""

    bodies: tuple[str, ...] = ("7BIT", "8BITMIME")
    """What BODY= may say (RFC 6152, RFC 3030)."""

    hello = ""
    esmtp = False
    _forwarded: Client | None = None
    _connection: Connection | None = None

    def connection(self) -> Connection:
        """The client as it is known now (rule J2)."""
        if self._connection is None:
            client = self._forwarded or self.client
            helo = client.helo if self._forwarded or client.helo is not None else self.hello
            self._connection = Connection(
                road=self.settings.road,
                ip=client.ip,
                port=client.port,
                helo=helo or "",
                esmtp=self.esmtp if client.esmtp is None else client.esmtp,
                tls=self.tls,
                session_id=self.id,
            )
        return self._connection

    def _set_post_data_state(self) -> None:
        """Forget the transaction and what was forwarded for it."""
        super()._set_post_data_state()
        if self._forwarded is not None:
            self._forwarded = self._connection = None

    def _greeted(self, hello: str, esmtp: bool) -> None:
        """Begin anew, as at the start of the session (RFC 5321 §4.1.4)."""
        self._set_post_data_state()
        self.hello, self.esmtp, self._connection = hello, esmtp, None

    # Hello (RFC 5321 §4.1.1.1)

    def greet(self) -> None:
        """220 with our name."""
        self.say(Reply(220, "", f"{self.hostname} ESMTP MaiRust"))

    @syntax("HELO hostname")
    async def smtp_HELO(self, hostname: str | None) -> None:
        """Plain SMTP, without extensions."""
        if not hostname:
            self.say(replies.HELLO_SYNTAX)
            return
        self._greeted(hostname, esmtp=False)
        self.say(Reply(250, "", self.hostname))

    @syntax("EHLO hostname")
    async def smtp_EHLO(self, hostname: str | None) -> None:
        """ESMTP; the answer lists what we can do."""
        if not hostname:
            self.say(replies.HELLO_SYNTAX)
            return
        self._greeted(hostname, esmtp=True)
        *most, last = (self.hostname, *self.extensions())
        self._out.extend(f"250-{line}\r\n".encode("ascii", "replace") for line in most)
        self.say(Reply(250, "", last))

    def extensions(self) -> list[str]:
        """The keywords of the EHLO reply, as they hold for this client now."""
        offered = ["PIPELINING", f"SIZE {self.max_size_bytes()}", "8BITMIME", "SMTPUTF8"]
        offered += ["ENHANCEDSTATUSCODES", "CHUNKING"]
        if "BINARYMIME" in self.bodies:
            offered.append("BINARYMIME")
        if self.offers_tls:
            offered.append("STARTTLS")
        if self.trusted:
            offered.append(" ".join(("XCLIENT", *XCLIENT_ATTRIBUTES)))
            offered.append(" ".join(("XFORWARD", *XFORWARD_ATTRIBUTES)))
        return [*offered, "HELP"]

    @property
    def offers_tls(self) -> bool:
        """Whether STARTTLS can be said now."""
        return self.settings.certificates is not None and not self.tls

    def max_size_bytes(self) -> int:
        """The real limit: ours or the road's, whichever is less (trap S2)."""
        return min(self.limits.max_size_bytes, self.receiver.max_size_bytes)

    # Security and trust

    @syntax("STARTTLS", when="offers_tls")
    async def smtp_STARTTLS(self, arg: str | None) -> None:
        """Turn TLS on (RFC 3207)."""
        if arg or self.tls or self.settings.certificates is None:
            self.say(
                replies.NO_ARGUMENT if arg else replies.TLS_ALREADY if self.tls else replies.NOT_IMPLEMENTED
            )
            return
        await self.flush()
        # From here to the handshake nothing may wait, or bytes in clear would come in between (trap S10).
        self._writer.write(replies.wire(replies.TLS_READY))
        self.inbox.drop()
        try:
            transport = await self.loop.start_tls(
                self._writer.transport,
                self,
                self.settings.certificates.context(),
                server_side=True,
                ssl_handshake_timeout=self.limits.handshake_s,
            )
        except (OSError, TimeoutError) as error:
            log.info("%s TLS handshake failed: %s", self.id, error)
            self.connection_lost(error)
            raise ConnectionAbortedError("TLS handshake failed") from error
        self._switch_to(transport)

    def _switch_to(self, transport: asyncio.Transport | None) -> None:
        """Go on over TLS, as after a new greeting (RFC 3207 §4.2)."""
        if transport is None or self.ended:
            raise ConnectionAbortedError("connection lost in the TLS handshake")
        self.inbox.rebase(transport)
        # What asyncio does when its writer starts TLS, which would wait first; names guarded by a test.
        self._writer._transport = transport  # type: ignore[attr-defined]
        self._transport, self._over_ssl = transport, True
        self.transport = transport
        self.tls = tls.describe(transport.get_extra_info("ssl_object"))
        log.debug("%s TLS: %s", self.id, self.tls)
        self._greeted("", esmtp=False)

    async def smtp_XCLIENT(self, arg: str | None) -> None:
        """A trusted front server speaks for its client from now on (Postfix XCLIENT_README)."""
        client = self._told(arg, XCLIENT_ATTRIBUTES, self.client)
        if client is not None:
            self.client = client
            self._greeted("", esmtp=False)
            self.greet()

    async def smtp_XFORWARD(self, arg: str | None) -> None:
        """A trusted front server tells where the next mail came from (Postfix XFORWARD_README)."""
        client = self._told(arg, XFORWARD_ATTRIBUTES, self._forwarded or Client())
        if client is not None:
            self._forwarded, self._connection = client, None
            self.say(replies.OK)

    def _told(self, arg: str | None, allowed: tuple[str, ...], before: Client) -> Client | None:
        client = with_attributes(before, arg, allowed) if arg else None
        if not self.trusted:
            self.say(replies.NOT_TRUSTED)
        elif self.in_transaction():
            self.say(replies.MAIL_OPEN)
        elif client is None:
            self.say(replies.BAD_ATTRIBUTE)
        else:
            return client
        return None
