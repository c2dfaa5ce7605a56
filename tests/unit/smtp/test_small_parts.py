"""Replies, networks, attributes, the gate, certificates."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.model.reply import Reply
from mairust_core.observe.counters import Counters
from mairust_core.smtp import replies
from mairust_core.smtp.gate import Gate
from mairust_core.smtp.limits import Limits
from mairust_core.smtp.trusted import XFORWARD_ATTRIBUTES, Client, TrustedNetworks, with_attributes
from mairust_core.tls import CertificateStore

TABLE = {name: reply for name, reply in vars(replies).items() if isinstance(reply, Reply)}


@pytest.mark.parametrize("name", TABLE)
def test_reply_classes_agree(name: str) -> None:
    """Basic and enhanced code are of one class (RFC 2034 §4); only 3xx has none."""
    reply = TABLE[name]
    assert reply.enhanced[:1] == ("" if reply.code < 400 and reply.code // 100 == 3 else str(reply.code)[0])
    assert reply.text.isascii()
    assert reply.text.isprintable()


@given(st.text())
def test_replies_are_one_line_each(text: str) -> None:
    """No text breaks a reply in two."""
    line = replies.wire(Reply(550, "5.7.1", text))
    assert line.startswith(b"550 5.7.1 ")
    assert line.endswith(b"\r\n")
    assert line[:-2].decode("ascii").isprintable()


def test_trusted_networks() -> None:
    """Networks hold their addresses, also as IPv6-mapped; nonsense is in none."""
    networks = TrustedNetworks(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"])
    for ip in ("192.0.2.9", "::ffff:192.0.2.9", "2001:db8::1", "198.51.100.7"):
        assert networks.contains(ip)
    for ip in ("192.0.3.1", "2001:db9::1", "", "x"):
        assert not networks.contains(ip)
    assert not TrustedNetworks().contains("127.0.0.1")
    with pytest.raises(ValueError, match="x"):
        TrustedNetworks(["x"])


@given(st.text())
def test_attributes_never_raise(text: str) -> None:
    """Any argument of XFORWARD is a client or none, and what it says is printable."""
    for argument in (text, f"HELO={text}", f"ADDR={text}", f"PORT={text}"):
        client = with_attributes(Client(), argument, XFORWARD_ATTRIBUTES)
        assert client is None or (client.helo or "").isprintable()


def test_gate_counts_in_and_out() -> None:
    """Refused clients do not count, those that left count no more, loopback and trusted networks never."""
    limits = Limits(max_connections=2, connections_per_address=1)
    counters = Counters.alone()
    gate = Gate(limits, TrustedNetworks(["192.0.2.0/24"]), counters.road("smtp"))
    assert [gate.enter() is None for _ in range(4)] == [True, True, False, False]
    gate.leave()
    assert gate.enter() is None
    for ip in ("127.0.0.1", "::1", "192.0.2.1"):
        assert [gate.enter_address(ip) for _ in range(3)] == [None] * 3
    assert gate.enter_address("203.0.113.1") is None
    assert gate.enter_address("203.0.113.1") == replies.TOO_MANY_FROM_ADDRESS
    assert gate.enter_address("203.0.113.2") is None
    gate.leave_address("203.0.113.1")
    assert gate.enter_address("203.0.113.1") is None
    sums = counters.all.sums()
    assert (sums.came["smtp"], sums.sent_away["smtp"], sums.open["smtp"]) == (5, 3, 2)


def write_certificate(authority: trustme.CA, certificate: Path, key: Path) -> None:
    """A fresh certificate."""
    issued = authority.issue_cert("localhost")
    certificate.write_bytes(issued.cert_chain_pems[0].bytes())
    key.write_bytes(issued.private_key_pem.bytes())


def test_certificates_survive_a_broken_renewal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Files that do not fit or are missing leave the old certificate in force, and are said once."""
    authority, certificate, key = trustme.CA(), tmp_path / "cert.pem", tmp_path / "key.pem"
    write_certificate(authority, certificate, key)
    store = CertificateStore(certificate, key)
    context = store.context()
    certificate.write_bytes(b"rubbish")
    for _ in range(3):
        assert store.context() is context
    assert caplog.text.count("stays in force") == 1
    certificate.unlink()
    assert store.context() is context
    assert not store.reload()
    write_certificate(authority, certificate, key)
    assert store.reload()


def test_no_certificate_no_store(tmp_path: Path) -> None:
    """The first load must succeed."""
    with pytest.raises(FileNotFoundError):
        CertificateStore(tmp_path / "cert.pem", tmp_path / "key.pem")
