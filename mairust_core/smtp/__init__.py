"""Mail arrives: SMTP, LMTP and the private socket of `deliver`.

`server` listens; a session is built up from `connection` (bytes, time), `conversation` (lines to commands),
`hello` (who talks), `content` (DATA, BDAT) and `session` (the envelope), `lmtp` on top; `data` reads content.
The rest of the server is reached through `mairust_core.receive.Receiver` only.
"""
