"""The names we use though aiosmtpd and asyncio call them their own."""

from __future__ import annotations

import asyncio
import inspect
from importlib.metadata import version

import pytest
from aiosmtpd.smtp import SMTP, syntax

from mairust_core.smtp import session


@pytest.fixture
def machine() -> SMTP:
    """A fresh command machine of aiosmtpd."""
    loop = asyncio.new_event_loop()
    machine = SMTP(None, hostname="mx.example.org", ident="MaiRust", loop=loop)
    loop.close()
    return machine


def test_aiosmtpd_private_names(machine: SMTP) -> None:
    """What the sessions override or use exists in the pinned version, with the same meaning."""
    assert version("aiosmtpd") == "1.4.6"
    for name in ("_handle_client", "_reset_timeout", "_set_post_data_state", "_syntax_available"):
        assert callable(getattr(SMTP, name))
    assert machine._smtp_methods["MAIL"] == machine.smtp_MAIL
    for name in ("_handler_coroutine", "_original_transport", "transport", "hostname"):
        assert name in vars(machine)
    assert "self._handle_client()" in inspect.getsource(SMTP.connection_made)
    assert "_reset_timeout" in inspect.getsource(SMTP.connection_made)
    assert "self._writer = writer" in inspect.getsource(SMTP._cb_client_connected)
    decorated = vars(syntax("HELP me", extended="!")(lambda: None))
    assert (decorated["__smtp_syntax__"], decorated["__smtp_syntax_extended__"]) == ("HELP me", "!")


def test_asyncio_private_names(machine: SMTP) -> None:
    """What `Inbox` and the sessions know of asyncio's streams is still so."""
    for name in ("_strong_reader", "_stream_reader_wr", "_over_ssl", "_transport"):
        assert name in vars(machine)
    assert vars(machine)["_paused"] is False
    machine.pause_writing()
    assert vars(machine)["_paused"] is True
    for taken_over in ("self._transport = ", "self._over_ssl = "):
        assert taken_over in inspect.getsource(asyncio.StreamReaderProtocol.connection_made)
    assert callable(asyncio.StreamReader._wait_for_data)  # type: ignore[attr-defined]
    loop = asyncio.new_event_loop()
    reader = vars(asyncio.StreamReader(loop=loop))
    loop.close()
    assert reader["_buffer"] == bytearray()
    assert (reader["_eof"], reader["_paused"], reader["_transport"]) == (False, False, None)
    assert "self._transport" in inspect.getsource(asyncio.StreamWriter)


def test_every_command_of_aiosmtpd_is_ours() -> None:
    """No command method of aiosmtpd runs as it came: its replies and checks are not ours."""
    for name in dir(SMTP):
        if name.startswith("smtp_"):
            assert getattr(session.SmtpSession, name) is not getattr(SMTP, name), name
