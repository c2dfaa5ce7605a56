"""STARTTLS (RFC 3207)."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from mairust_core.smtp.limits import Limits
from mairust_core.smtp.memory import MemoryReceiver
from mairust_core.tls import CertificateStore
from tests.integration.smtp.client import connect
from tests.integration.smtp.conftest import Listen

AUTHORITY = trustme.CA()


def write_certificate(directory: Path) -> tuple[Path, Path]:
    """A fresh certificate of our authority, as two files."""
    issued = AUTHORITY.issue_cert("localhost")
    certificate, key = directory / "cert.pem", directory / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return certificate, key


@pytest.fixture
def trusting() -> ssl.SSLContext:
    """A client's context that trusts our authority."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@pytest.fixture
def store(tmp_path: Path) -> CertificateStore:
    """A store with one certificate."""
    return CertificateStore(*write_certificate(tmp_path))


async def test_mail_over_tls(
    listen: Listen, receiver: MemoryReceiver, store: CertificateStore, trusting: ssl.SSLContext
) -> None:
    """After STARTTLS the client says hello again, TLS is not offered twice, and large mail arrives."""
    content = b"x" * 77 + b"\r\n"
    async with await connect(await listen(certificates=store)) as client:
        assert "STARTTLS" in await client.greet()
        assert "STARTTLS" in await client.ask("HELP")
        assert (await client.ask("STARTTLS now")).startswith("501")
        assert (await client.ask("STARTTLS")).startswith("220")
        await client.start_tls(trusting)
        assert (await client.ask("MAIL FROM:<b@c>")).startswith("503")
        assert "STARTTLS" not in await client.ask("EHLO again.example.net")
        assert "STARTTLS" not in await client.ask("HELP")
        assert (await client.ask("STARTTLS")).startswith("503")
        assert (await client.mail(content * 10_000)).startswith("250")
        assert (await client.ask("QUIT")).startswith("221")
        assert await client.rest() == ""
    mail = receiver.arrived[0]
    assert mail.data == content * 10_000
    assert mail.envelope.connection.tls.startswith("TLSv1.3 TLS_")
    assert mail.envelope.connection.helo == "again.example.net"


async def test_a_client_that_ends_without_quit_over_tls_is_no_warning(
    listen: Listen, store: CertificateStore, trusting: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Over TLS nothing stays half open, which asyncio wants to be told."""
    place = await listen(certificates=store)
    async with await connect(place) as client:
        await client.greet()
        await client.ask("STARTTLS")
        await client.start_tls(trusting)
        await client.ask("EHLO again.example.net")
    async with await connect(place) as later:  # who comes later is served after the first one's end
        await later.greet()
        await later.ask("NOOP")
    assert [one.getMessage() for one in caplog.records if one.levelname == "WARNING"] == []


async def test_trap_s10_nothing_sent_before_tls_is_executed(
    listen: Listen, receiver: MemoryReceiver, store: CertificateStore, trusting: ssl.SSLContext
) -> None:
    """Commands pipelined behind STARTTLS in clear are dropped, and what was said before is forgotten."""
    async with await connect(await listen(certificates=store)) as client:
        await client.greet()
        await client.ask("MAIL FROM:<before@example.net>")
        await client.send(
            b"STARTTLS\r\nEHLO injected\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<ann@example.org>\r\n"
        )
        assert (await client.reply()).startswith("220")
        await client.start_tls(trusting)
        assert (await client.ask("RCPT TO:<ann@example.org>")).startswith("503")
        assert (await client.ask("MAIL FROM:<b@c>")).startswith("503 5.5.1 Say hello")
        await client.ask("EHLO x")
        assert (await client.mail(b"x\r\n")).startswith("250")
    assert [mail.envelope.mail_from for mail in receiver.arrived] == ["bob@example.net"]


async def test_clear_text_in_the_handshake_ends_the_session(listen: Listen, store: CertificateStore) -> None:
    """Bytes that are no TLS fail the handshake; nothing is answered in clear."""
    address = await listen(certificates=store)
    async with await connect(address) as client:
        await client.greet()
        assert (await client.ask("STARTTLS")).startswith("220")
        await client.send(b"EHLO injected\r\nMAIL FROM:<evil@example.net>\r\n")
        rest = await client.reader.read(-1)
        assert b"250" not in rest
    async with await connect(address) as client:
        await client.greet()


async def test_trap_s4_a_handshake_must_come_in_time(listen: Listen, store: CertificateStore) -> None:
    """A client that does not go on with TLS loses its slot."""
    async with await connect(await listen(certificates=store, limits=Limits(handshake_s=0.2))) as client:
        await client.greet()
        assert (await client.ask("STARTTLS")).startswith("220")
        assert await client.reader.read(-1) == b""


async def test_renewed_certificates_are_served(
    tmp_path: Path, listen: Listen, store: CertificateStore, trusting: ssl.SSLContext
) -> None:
    """The next handshake after the files changed shows the new certificate."""
    address = await listen(certificates=store)
    shown = []
    for _ in range(2):
        async with await connect(address) as client:
            await client.greet()
            await client.ask("STARTTLS")
            await client.start_tls(trusting)
            shown.append(client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
            assert (await client.ask("NOOP")).startswith("250")
        write_certificate(tmp_path)
    assert shown[0] != shown[1]
