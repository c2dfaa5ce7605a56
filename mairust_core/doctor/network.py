"""Listeners, their certificates, and settings that do nothing."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from mairust_core.config import ListenAddress, Settings
from mairust_core.config.schema import keys, sections
from mairust_core.doctor.findings import Found
from mairust_core.running import running_on
from mairust_core.tls import CertificateStore

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SOON = timedelta(days=14)
RESERVED = "Reserved:"
"""How the declaration of a setting says that this version does not use it."""


def settings_without_effect(settings: Settings) -> Iterator[Found]:
    """Settings that were given and change nothing."""
    idle = [name for name in keys() if settings.origin(name).kind != "default" and _is_reserved(name)]
    smtp, http = settings.smtp, settings.http
    if smtp.proxy_protocol and not smtp.trusted_networks:
        idle.append("smtp.proxy_protocol")  # only trusted peers send the header
    if smtp.listen.off and smtp.tls_cert is not None:
        idle += ["smtp.tls_cert", "smtp.tls_key"]
    if http.listen.off and http.tls_cert is not None:
        idle += ["http.tls_cert", "http.tls_key"]
    if idle:
        yield Found("config.no_effect", keys=", ".join(dict.fromkeys(idle)))


def _is_reserved(name: str) -> bool:
    key = keys()[name]
    return RESERVED in key.declared.doc or RESERVED in (sections()[key.section].__doc__ or "")


def listeners(settings: Settings) -> Iterator[Found]:
    """What listens beyond this machine does so encrypted, and LMTP does not."""
    smtp = _listens_at(settings, "smtp", settings.smtp.listen)
    lmtp = _listens_at(settings, "lmtp", settings.lmtp.listen)
    http = _listens_at(settings, "http", settings.http.listen)
    if is_open(smtp) and settings.smtp.tls_cert is None:
        yield Found("listener.smtp_without_tls", address=smtp)
    if is_open(lmtp):
        yield Found("listener.lmtp_open", address=lmtp)
    if is_open(http) and settings.http.tls_cert is None:
        yield Found("listener.http_without_tls", address=http)


def _listens_at(settings: Settings, name: str, configured: ListenAddress) -> ListenAddress:
    """Where the running server listens, whatever its options were; without one, what is configured."""
    running = running_on(settings.data_dir)
    if running is None or name not in running.listeners:
        return configured
    return ListenAddress.parse(running.listeners[name])


def is_open(at: ListenAddress) -> bool:
    """Whether other machines can reach a listener."""
    if at.port is None or at.host == "localhost":
        return False
    if not at.host:
        return True
    try:
        return not ip_address(at.host).is_loopback
    except ValueError:
        return True


def certificates(settings: Settings) -> Iterator[Found]:
    """Certificates fit their keys, are valid for a while, and bear this server's name."""
    for section, given in (("smtp", settings.smtp), ("http", settings.http)):
        if given.tls_cert is not None and given.tls_key is not None:
            yield from certificate(section, given.tls_cert, given.tls_key, settings.node.hostname)


def certificate(
    section: str, path: Path, key: Path, hostname: str, now: datetime | None = None
) -> Iterator[Found]:
    """What is wrong with one certificate."""
    from cryptography import x509

    try:
        CertificateStore(path, key)
        first = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ssl.SSLError, ValueError) as error:
        yield Found("certificate.unusable", section=section, path=path, why=error)
        return
    if stat.S_IMODE(key.stat().st_mode) & 0o007:
        yield Found("certificate.key_readable", path=key)
    left = first.not_valid_after_utc - (now or datetime.now(UTC))
    until = f"{first.not_valid_after_utc:%Y-%m-%d %H:%MZ}"
    if left <= timedelta(0):
        yield Found("certificate.expired", section=section, path=path, until=until)
    elif left <= SOON:
        yield Found("certificate.expires", section=section, path=path, until=until, days=left.days)
    names = _names(first)
    if not any(_bears(name, hostname) for name in names):
        yield Found(
            "certificate.name", section=section, path=path, hostname=hostname, names=", ".join(names) or "-"
        )


def _names(certificate: Certificate) -> list[str]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.DNSName)


def _bears(name: str, hostname: str) -> bool:
    """Whether a name of a certificate is the host's (RFC 9525 §6.3: a star is one whole label)."""
    name, hostname = name.lower(), hostname.lower()
    return name == hostname or (name.startswith("*.") and name[2:] == hostname.partition(".")[2])
