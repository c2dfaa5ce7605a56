"""Every reply the listeners give by themselves, in protocol order (RFC 5321 §4.2, RFC 3463).

The road's own replies (`stored`, `No such user here`, …) come from the receiver.
"""

from __future__ import annotations

from mairust_core.errors import MaiRustError, TooLarge
from mairust_core.model.reply import Reply

# Connection
NOT_OUR_PEER = Reply(554, "5.7.1", "This socket is for its owner only")
TOO_MANY_CONNECTIONS = Reply(421, "4.3.2", "Too many connections, try again later")
TOO_MANY_FROM_ADDRESS = Reply(421, "4.7.0", "Too many connections from your address")
IDLE = Reply(421, "4.4.2", "Idle for too long, closing connection")
TOO_SLOW = Reply(421, "4.4.2", "Content comes too slowly, closing connection")
SESSION_TOO_LONG = Reply(421, "4.4.2", "Session lasts too long, closing connection")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors, closing connection")
TOO_MANY_COMMANDS = Reply(421, "4.7.0", "Too many commands without mail, closing connection")
TOO_MANY_TRANSACTIONS = Reply(421, "4.7.0", "Too many mails in one session, connect again")
SHUTTING_DOWN = Reply(421, "4.3.2", "Service is shutting down, try again later")
NOT_HTTP = Reply(421, "4.7.0", "HTTP is not spoken here, closing connection")
INTERNAL_ERROR = Reply(421, "4.3.0", "Internal error, closing connection")

# Any command
BARE_NEWLINE_IN_COMMAND = Reply(500, "5.5.2", "Command lines end with CR LF")
LINE_TOO_LONG = Reply(500, "5.5.2", "Command line too long")
BAD_CHARACTERS = Reply(500, "5.5.2", "Command holds characters that are not allowed")
UNKNOWN_COMMAND = Reply(500, "5.5.2", "Command not recognized")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
NO_ARGUMENT = Reply(501, "5.5.4", "Command takes no argument")
OK = Reply(250, "2.0.0", "Ok")
BYE = Reply(221, "2.0.0", "Bye")

# HELO, EHLO, LHLO
HELLO_SYNTAX = Reply(501, "5.5.4", "Say your host name, such as EHLO mail.example.org")
LHLO_SYNTAX = Reply(501, "5.5.4", "Say your host name, such as LHLO mail.example.org")
HELLO_NEEDED = Reply(503, "5.5.1", "Say hello first")
HELLO_IN_LMTP = Reply(500, "5.5.1", "This is LMTP, say LHLO")

# VRFY
VRFY_SYNTAX = Reply(501, "5.5.4", "Syntax: VRFY <address>")
VRFY = Reply(252, "2.1.5", "Cannot VRFY user, but will accept message and attempt delivery")

# STARTTLS (RFC 3207)
TLS_READY = Reply(220, "2.0.0", "Ready to start TLS")
TLS_ALREADY = Reply(503, "5.5.1", "TLS is already on")

# XCLIENT, XFORWARD
NOT_TRUSTED = Reply(550, "5.7.1", "Not permitted from your address")
BAD_ATTRIBUTE = Reply(501, "5.5.4", "Bad attribute")

# MAIL
MAIL_SYNTAX = Reply(501, "5.5.4", "Syntax: MAIL FROM:<address> [SP parameters]")
BAD_SENDER = Reply(501, "5.1.7", "Bad sender address syntax")
NESTED_MAIL = Reply(503, "5.5.1", "A mail transaction is open already")
MAIL_FIRST = Reply(503, "5.5.1", "Send MAIL first")
MAIL_OPEN = Reply(503, "5.5.1", "A mail transaction is open")
BAD_PARAMETER = Reply(501, "5.5.4", "Bad parameter value")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognized or not implemented")
UTF8_NOT_ANNOUNCED = Reply(553, "5.6.7", "Address needs the SMTPUTF8 parameter")
TOO_BIG = TooLarge.reply
SENDER_OK = Reply(250, "2.1.0", "Sender ok")

# RCPT
RCPT_SYNTAX = Reply(501, "5.5.4", "Syntax: RCPT TO:<address>")
BAD_RECIPIENT = Reply(501, "5.1.3", "Bad recipient address syntax")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient ok")

# DATA, BDAT
RCPT_FIRST = Reply(503, "5.5.1", "Send RCPT first")
NO_VALID_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
START_INPUT = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
BDAT_SYNTAX = Reply(501, "5.5.4", "Syntax: BDAT size [LAST]")
BDAT_UNREADABLE = Reply(421, "4.7.0", "No content after a BDAT that cannot be read, closing connection")
BDAT_OPEN = Reply(503, "5.5.1", "DATA cannot follow BDAT")
BDAT_ONLY = Reply(502, "5.5.1", "Send content by BDAT here")
BARE_NEWLINE = Reply(550, "5.6.11", "Message contains bare CR or LF")
TOO_MANY_HOPS = Reply(554, "5.4.6", "Too many hops, this mail is looping")
NO_ANSWER = MaiRustError.reply


def chunk_taken(size_bytes: int) -> Reply:
    """The answer to one BDAT chunk that is not the last (RFC 3030 §2)."""
    return Reply(250, "2.0.0", f"{size_bytes} octets received")


def wire(reply: Reply) -> bytes:
    """The line that goes out; what is not printable ASCII becomes `?`, so that no reply breaks in two."""
    text = str(reply)
    if not (text.isascii() and text.isprintable()):
        text = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return text.encode("ascii") + b"\r\n"
