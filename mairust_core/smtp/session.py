"""Mail over ESMTP: the envelope, and what else can be said (RFC 5321)."""

# ruff: noqa: N802, N815 -- aiosmtpd finds commands by these names and passes them all an argument

from __future__ import annotations

import logging

from aiosmtpd.smtp import syntax

from mairust_core.errors import MaiRustError
from mairust_core.model.envelope import Recipient
from mairust_core.model.reply import Reply
from mairust_core.smtp import replies
from mairust_core.smtp.content import ContentSession
from mairust_core.smtp.path import after_keyword, mail_parameters, parse_parameters, parse_path
from mairust_core.smtp.transaction import Transaction

log = logging.getLogger("mairust.smtp")


class SmtpSession(ContentSession):
    """One SMTP client; each method answers one command."""

    _transactions = 0

    # The transaction

    @syntax("MAIL FROM:<address>", extended=" [SP parameters]")
    async def smtp_MAIL(self, arg: str | None) -> None:
        """Open a transaction (RFC 5321 §4.1.1.2)."""
        self.say(self._mail(arg or ""))

    def _mail(self, argument: str) -> Reply:
        if not self.hello:
            return replies.HELLO_NEEDED
        if self.in_transaction():
            return replies.NESTED_MAIL
        rest = after_keyword(argument, "FROM:")
        if rest is None:
            return replies.MAIL_SYNTAX
        path = parse_path(rest)
        if path is None or len(path.address.encode()) > self.limits.path_bytes:
            return replies.BAD_SENDER
        if path.parameters.strip() and not self.esmtp:
            return replies.UNKNOWN_PARAMETER
        given = mail_parameters(path.parameters, bodies=self.bodies)
        if isinstance(given, Reply):
            return given
        if not path.address.isascii() and not given.smtputf8:
            return replies.UTF8_NOT_ANNOUNCED
        return self._open(
            Transaction(mail_from=path.address, smtputf8=given.smtputf8, body=given.body), given.size_bytes
        )

    def _open(self, mail: Transaction, size_bytes: int) -> Reply:
        if size_bytes > self.max_size_bytes():
            self.receiver.refused(self.envelope_of(mail), "", replies.TOO_BIG)
            self.counters.refused(replies.TOO_BIG)
            return replies.TOO_BIG
        self._transactions += 1
        if self._transactions > self.limits.max_transactions:
            return replies.TOO_MANY_TRANSACTIONS
        self.mail = mail
        return replies.SENDER_OK

    @syntax("RCPT TO:<address>")
    async def smtp_RCPT(self, arg: str | None) -> None:
        """Add a recipient, or refuse it here and now (RFC 5321 §4.1.1.3, trap S6)."""
        address = self._recipient_address(arg or "")
        if isinstance(address, Reply):
            self.say(address)
            return
        mail = self.mail
        answer = await self._ask_for(address)
        if isinstance(answer, Reply):
            mail.refused = True
            self.receiver.refused(self.envelope_of(mail), address, answer)
            self.counters.recipient_refused(answer)
            self.say(answer)
        else:
            mail.recipients.append(answer)
            self.say(replies.RECIPIENT_OK)

    def _recipient_address(self, argument: str) -> str | Reply:
        if not self.in_transaction():
            return replies.MAIL_FIRST
        if self.mail.intake or self.mail.failure:
            return replies.MAIL_OPEN
        rest = after_keyword(argument, "TO:")
        if rest is None:
            return replies.RCPT_SYNTAX
        path = parse_path(rest)
        if path is None or not path.address or len(path.address.encode()) > self.limits.path_bytes:
            return replies.BAD_RECIPIENT
        parameters = parse_parameters(path.parameters)
        if parameters != {}:
            return replies.BAD_PARAMETER if parameters is None else replies.UNKNOWN_PARAMETER
        if not path.address.isascii() and not self.mail.smtputf8:
            return replies.UTF8_NOT_ANNOUNCED
        return path.address

    async def _ask_for(self, address: str) -> Recipient | Reply:
        if len(self.mail.recipients) >= self.limits.max_recipients:
            return replies.TOO_MANY_RECIPIENTS
        try:
            return await self.receiver.recipient(address, self.connection())
        except MaiRustError as error:
            log.warning("%s recipient cannot be looked up: %s", self.id, error)
            return error.reply

    # The rest

    @syntax("RSET")
    async def smtp_RSET(self, arg: str | None) -> None:
        """Give the transaction up (RFC 5321 §4.1.1.5)."""
        if arg:
            self.say(replies.NO_ARGUMENT)
            return
        self._set_post_data_state()
        self.say(replies.OK)

    @syntax("VRFY <address>")
    async def smtp_VRFY(self, arg: str | None) -> None:
        """Neither confirm nor deny (RFC 5321 §3.5.3)."""
        self.say(replies.VRFY if arg else replies.VRFY_SYNTAX)

    @syntax("HELP [command]")
    async def smtp_HELP(self, arg: str | None) -> None:
        """What can be said, or how (RFC 5321 §4.1.1.8)."""
        method = self._smtp_methods.get((arg or "").upper())
        if method is not None and self._syntax_available(method):
            self.say(
                Reply(
                    214, "2.0.0", f"Syntax: {method.__smtp_syntax__}{method.__smtp_syntax_extended__ or ''}"
                )
            )
            return
        known = sorted(verb for verb, method in self._smtp_methods.items() if self._syntax_available(method))
        self.say(Reply(214, "2.0.0", f"Commands: {' '.join(known)}"))

    @syntax("NOOP [ignored]")
    async def smtp_NOOP(self, arg: str | None) -> None:
        """Nothing (RFC 5321 §4.1.1.9)."""
        self.say(replies.OK)

    @syntax("QUIT")
    async def smtp_QUIT(self, arg: str | None) -> None:
        """Goodbye (RFC 5321 §4.1.1.10)."""
        if arg:
            self.say(replies.NO_ARGUMENT)
            return
        self.say(replies.BYE)
        self._closing = True

    async def smtp_EXPN(self, arg: str | None) -> None:
        """Known and not done: it would list our users (RFC 5321 §7.3)."""
        self.say(replies.NOT_IMPLEMENTED)

    smtp_TURN = smtp_ETRN = smtp_SEND = smtp_SOML = smtp_SAML = smtp_EXPN

    async def smtp_AUTH(self, arg: str | None) -> None:
        """Not offered; what came with it is a secret and goes nowhere (trap A3)."""
        self.say(replies.NOT_IMPLEMENTED)
