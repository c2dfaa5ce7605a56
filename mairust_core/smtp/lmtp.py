"""LMTP: one reply per recipient (RFC 2033), and the private socket of `mairust deliver` (rule D4)."""

# ruff: noqa: N802 -- aiosmtpd finds commands by these names and passes them all an argument

from __future__ import annotations

import socket
import struct

from aiosmtpd.smtp import syntax

from mairust_core.model.reply import Reply
from mairust_core.smtp import replies
from mairust_core.smtp.session import SmtpSession

_PEER_CREDENTIALS = struct.Struct("3i")
"""pid, uid, gid: `struct ucred` of unix(7)."""


class LmtpSession(SmtpSession):
    """One LMTP client: LHLO, and after the final dot a reply for each accepted recipient, in order."""

    reply_per_recipient = True

    def greet(self) -> None:
        """220 with our name."""
        self.say(Reply(220, "", f"{self.hostname} LMTP MaiRust"))

    def refusals_are_free(self) -> bool:
        """A front server passes on what its clients asked for."""
        return True

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, hostname: str | None) -> None:
        """LMTP's hello, with the semantics of EHLO (RFC 2033 §4.1)."""
        if hostname:
            await super().smtp_EHLO(hostname)
        else:
            self.say(replies.LHLO_SYNTAX)

    async def smtp_HELO(self, hostname: str | None) -> None:
        """Not in LMTP."""
        self.say(replies.HELLO_IN_LMTP)

    async def smtp_EHLO(self, hostname: str | None) -> None:
        """Not in LMTP."""
        self.say(replies.HELLO_IN_LMTP)


class DeliverSession(LmtpSession):
    """The `deliver` command of the site's owner: content by BDAT only, every byte kept as given."""

    bodies = ("7BIT", "8BITMIME", "BINARYMIME")
    bare_newlines_pass = True

    def peer_refusal(self) -> Reply | None:
        """554 for everybody but the owner and root, whatever the permissions of the socket are."""
        connected = self._writer.get_extra_info("socket")
        given = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
        _, uid, _ = _PEER_CREDENTIALS.unpack(given)
        return None if uid in (0, self.settings.owner_uid) else replies.NOT_OUR_PEER

    async def smtp_DATA(self, arg: str | None) -> None:
        """Not here: dots and line ends would not survive."""
        self.say(replies.BDAT_ONLY)
