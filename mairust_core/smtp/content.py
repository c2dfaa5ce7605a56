"""Content: DATA and BDAT, what became of it, and who is told."""

# ruff: noqa: N802 -- aiosmtpd finds commands by these names

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiosmtpd.smtp import syntax

from mairust_core.errors import MaiRustError
from mairust_core.model.envelope import Envelope
from mairust_core.model.reply import Reply
from mairust_core.smtp import replies
from mairust_core.smtp.data import Intake, read_octets, read_to_dot
from mairust_core.smtp.hello import HelloSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mairust_core.smtp.transaction import Transaction

log = logging.getLogger("mairust.smtp")

_CHUNK = re.compile(r"([0-9]{1,20})( LAST)?", re.IGNORECASE)


class ContentSession(HelloSession):
    """The part of a session that takes content once there are recipients."""

    reply_per_recipient = False
    bare_newlines_pass = False

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:
        """Take the content up to its final dot (RFC 5321 §4.1.1.4)."""
        refusal = replies.NO_ARGUMENT if arg else self._content_refusal()
        if refusal is None and (self.mail.intake or self.mail.failure):
            refusal = replies.BDAT_OPEN
        intake = refusal or self._new_intake()
        if isinstance(intake, Reply):
            if refusal is None:
                self.counters.refused(intake)
            self.say(intake)
            return
        self.say(replies.START_INPUT)
        if await read_to_dot(self.inbox, intake.write, self.more_content):
            await self._complete(intake)
        else:
            self._cut_short()

    @syntax("BDAT size [LAST]")
    async def smtp_BDAT(self, arg: str | None) -> None:
        """Take one chunk of content, to the octet (RFC 3030 §2)."""
        match = _CHUNK.fullmatch(arg or "")
        if match is None:
            # Where the chunk ends is unknown, and content must never be read as commands.
            self.say(replies.BDAT_SYNTAX)
            self._closing = True
            return
        size_bytes, last = int(match[1]), bool(match[2])
        intake = self._chunk_intake()
        self.content_begins()
        write = intake.write if isinstance(intake, Intake) else self.drain
        if not await read_octets(self.inbox, size_bytes, write, self.more_content):
            self._cut_short()
        elif not isinstance(intake, Intake):
            self._answer_chunk(intake, last)
        elif last:
            await self._complete(intake)
        elif intake.refusal:
            self._answer_chunk(intake.refusal, last)
        else:
            self.say(replies.chunk_taken(size_bytes))

    def _cut_short(self) -> None:
        """The client went away inside of content: what it left behind is never read as commands (S1)."""
        self.inbox.drop()
        self._closing = True

    def _chunk_intake(self) -> Intake | Reply:
        mail = self.mail
        if mail.intake is not None:
            return mail.intake
        intake = mail.failure or self._content_refusal() or self._new_intake()
        if isinstance(intake, Reply) and self.in_transaction():
            mail.failure = intake
        return intake

    def _answer_chunk(self, refusal: Reply, last: bool) -> None:
        self._count_refusal(refusal)
        answers = [refusal]
        if last and self.in_transaction():
            answers = self._one_for_each(refusal)
            self._set_post_data_state()
        for answer in answers:
            self.say(answer)

    def _count_refusal(self, refusal: Reply) -> None:
        """Count a refused chunk, once for its transaction: many a client sends no last one then."""
        if self.mail.recipients and not self.mail.counted:
            self.mail.counted = True
            for answer in self._one_for_each(refusal):
                self.counters.refused(answer)

    def _content_refusal(self) -> Reply | None:
        """Why no content may come now."""
        if not self.in_transaction():
            return replies.MAIL_FIRST
        if self.mail.recipients:
            return None
        if self.mail.refused and not self.reply_per_recipient:
            return replies.NO_VALID_RECIPIENTS
        return replies.RCPT_FIRST

    def _new_intake(self) -> Intake | Reply:
        """An intake for the content, or why the road takes none (rules B4, J3)."""
        refusal = self.receiver.ready()
        try:
            collector = None if refusal else self.receiver.collect()
        except MaiRustError as error:
            refusal, collector = error.reply, None
        if collector is None:
            refusal = refusal or replies.NO_ANSWER
            self._note_refusal(refusal)
            return refusal
        self.content_begins()
        self.mail.intake = Intake(
            collector,
            max_size_bytes=self.max_size_bytes(),
            max_hops=self.limits.max_hops,
            bare_newlines=self.bare_newlines_pass or self.settings.bare_newlines == "accept",
        )
        return self.mail.intake

    async def _complete(self, intake: Intake) -> None:
        """Hand the mail over and tell what became of it; nothing else is done before that is sent."""
        begun_ns = self.counters.mail_begins()
        answers: Sequence[Reply] = self._one_for_each(replies.INTERNAL_ERROR)
        try:
            content = intake.finish()
            if content is None:
                answers = self._refused(intake)
            else:
                answers = self._checked(await self.receiver.receive(self.envelope_of(self.mail), content))
        finally:
            self.counters.mail_ends(begun_ns, intake.size_bytes, () if self.mail.counted else answers)
        self.mail.intake = None
        self._log_outcome(intake.size_bytes, answers)
        self._set_post_data_state()
        for answer in answers:
            self.say(answer)
        if any(answer.accepted for answer in answers):
            self.forgive()
        await self.flush()

    def _refused(self, intake: Intake) -> Sequence[Reply]:
        refusal = intake.refusal or replies.NO_ANSWER
        self._note_refusal(refusal)
        return self._one_for_each(refusal)

    def _checked(self, answers: list[Reply]) -> list[Reply]:
        expected = len(self.mail.recipients) if self.reply_per_recipient else 1
        if len(answers) != expected:
            log.error("%s the road gave %d replies where %d are due", self.id, len(answers), expected)
            return [replies.NO_ANSWER] * expected
        return answers

    def _one_for_each(self, reply: Reply) -> list[Reply]:
        return [reply] * (max(1, len(self.mail.recipients)) if self.reply_per_recipient else 1)

    def _note_refusal(self, reply: Reply) -> None:
        envelope = self.envelope_of(self.mail)
        for recipient in envelope.recipients:
            self.receiver.refused(envelope, recipient.address, reply)

    def envelope_of(self, mail: Transaction) -> Envelope:
        """The envelope of a transaction as it is now."""
        return Envelope(
            mail_from=mail.mail_from or "",
            recipients=tuple(mail.recipients),
            connection=self.connection(),
            received_at=datetime.now(UTC),
            smtputf8=mail.smtputf8,
            body=mail.body,
        )

    def _log_outcome(self, size_bytes: int, answers: Sequence[Reply]) -> None:
        level = logging.DEBUG if all(answer.accepted for answer in answers) else logging.INFO
        if log.isEnabledFor(level):
            sender, recipients = ascii(self.mail.mail_from), len(self.mail.recipients)
            text = "; ".join(dict.fromkeys(map(str, answers)))
            log.log(
                level, "%s mail from %s to %d, %d bytes: %s", self.id, sender, recipients, size_bytes, text
            )
