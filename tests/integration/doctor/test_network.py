"""What is found of listeners and certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from mairust_core.config import ListenAddress
from mairust_core.doctor.network import certificate, is_open
from mairust_core.running import Running, presence
from tests.integration.doctor.conftest import Examine

NOW = datetime.now(UTC)


def issue(directory: Path, name: str, days: float = 90) -> tuple[Path, Path]:
    """A certificate for a name that ends in so many days, and its key."""
    issued = trustme.CA().issue_cert(name, not_after=NOW + timedelta(days=days))
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    key.chmod(0o600)
    return cert, key


def ids(cert: Path, key: Path, hostname: str, now: datetime = NOW) -> list[str]:
    """What is found of a certificate."""
    return [one.id for one in certificate("smtp", cert, key, hostname, now)]


def test_a_good_certificate(tmp_path: Path) -> None:
    """Nothing is found, for its name in any case and for a star's."""
    assert ids(*issue(tmp_path, "mx.example.org"), "MX.example.org") == []
    assert ids(*issue(tmp_path, "*.example.org"), "mx.example.org") == []


@pytest.mark.parametrize("hostname", ["example.org", "a.mx.example.org", "mx.example.com"])
def test_a_certificate_for_another_name(tmp_path: Path, hostname: str) -> None:
    """A star is one label."""
    assert ids(*issue(tmp_path, "*.example.org"), hostname) == ["certificate.name"]


def test_a_certificate_that_ends(tmp_path: Path) -> None:
    """Two weeks ahead, and when it has ended."""
    files = issue(tmp_path, "mx.example.org", days=30)
    assert ids(*files, "mx.example.org", NOW + timedelta(days=15)) == []
    assert ids(*files, "mx.example.org", NOW + timedelta(days=17)) == ["certificate.expires"]
    assert ids(*files, "mx.example.org", NOW + timedelta(days=31)) == ["certificate.expired"]


def test_a_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    """Another's key, no file, no certificate in it."""
    cert, _ = issue(tmp_path, "mx.example.org")
    _, other = issue(tmp_path, "mx.example.com")
    assert ids(cert, other, "mx.example.org") == ["certificate.unusable"]
    assert ids(tmp_path / "none.pem", other, "mx.example.org") == ["certificate.unusable"]
    (tmp_path / "empty.pem").touch()
    assert ids(tmp_path / "empty.pem", other, "mx.example.org") == ["certificate.unusable"]


def test_a_private_key_for_everybody(tmp_path: Path) -> None:
    """The group may read it (ssl-cert on Debian), the world may not."""
    cert, key = issue(tmp_path, "mx.example.org")
    key.chmod(0o640)
    assert ids(cert, key, "mx.example.org") == []
    key.chmod(0o644)
    assert ids(cert, key, "mx.example.org") == ["certificate.key_readable"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:25", False),
        ("127.8.0.1:25", False),
        ("[::1]:25", False),
        ("localhost:25", False),
        ("unix:/run/x.sock", False),
        ("off", False),
        (":25", True),
        ("0.0.0.0:25", True),
        ("[::]:25", True),
        ("192.0.2.1:25", True),
        ("mx.example.org:25", True),
    ],
)
def test_what_other_machines_can_reach(text: str, expected: bool) -> None:
    """Everything but loopback, UNIX sockets and nothing."""
    assert is_open(ListenAddress.parse(text)) is expected


def test_listeners_for_others(found: Examine, tmp_path: Path) -> None:
    """LMTP never; SMTP and HTTP with a certificate."""
    opened = {"smtp__listen": ":25", "lmtp__listen": ":24", "http__listen": ":80"}
    expected = {"listener.smtp_without_tls", "listener.lmtp_open", "listener.http_without_tls"}
    assert {one for one in found(**opened) if one.startswith("listener.")} == expected
    cert, key = issue(tmp_path, "mx.example.org")
    given = {
        f"{section}__tls_{kind}": str(file)
        for section in ("smtp", "http")
        for kind, file in (("cert", cert), ("key", key))
    }
    left = found(**opened, **given, node__hostname="mx.example.org")
    assert {one for one in left if one.startswith("listener.")} == {"listener.lmtp_open"}


def test_listeners_are_those_of_the_running_server(data_dir: Path, found: Examine) -> None:
    """Options of `serve` are in no configuration; the server says where it listens."""
    (data_dir / "run").mkdir()
    at = {"smtp": "0.0.0.0:25", "lmtp": "unix:/run/lmtp.sock", "http": "off"}
    with presence(data_dir) as here:
        here.say(Running(pid=1, version="x", started_ms=0, workers=1, listeners=at))
        ids = {one for one in found(lmtp__listen=":24", http__listen=":80") if one.startswith("listener.")}
    assert ids == {"listener.smtp_without_tls"}


def test_settings_without_effect(found: Examine) -> None:
    """Those of parts that are not there yet, and those that another setting makes idle."""
    assert "config.no_effect" not in found()
    one = found(smtp__proxy_protocol="true", blobs__s3__bucket="mail")["config.no_effect"]
    assert "smtp.proxy_protocol" in one.what
    assert "blobs.s3.bucket" in one.what
    assert "config.no_effect" not in found(smtp__proxy_protocol="true", smtp__trusted_networks="10.0.0.0/8")
