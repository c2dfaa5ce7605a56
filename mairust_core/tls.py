"""One TLS context whose certificate follows its files."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

log = logging.getLogger("mairust.tls")

_Stamp = tuple[tuple[int, int, int], ...]


class CertificateStore:
    """A certificate and its key on disk, served by one `SSLContext` that lives as long as the server.

    New handshakes see a renewed certificate as soon as its files changed; sessions keep theirs. Files that do
    not fit each other, as in the middle of a renewal, leave the old certificate in force. Raises `OSError` or
    `ssl.SSLError` when the first load fails.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._stamp = self._read_stamp()
        self._context = _new_context()
        _load(self._context, certificate, key)

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake, its certificate as the files are now."""
        try:
            changed = self._read_stamp() != self._stamp
        except OSError:
            changed = False  # between the two steps of a renewal a file may be missing
        if changed:
            self.reload()
        return self._context

    def reload(self) -> bool:
        """Read the files again; False, with a line in the log, when they are unusable."""
        try:
            self._stamp = self._read_stamp()
            _load(_new_context(), self._certificate, self._key)
            _load(self._context, self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            log.error(
                "certificate %s cannot be read, the old one stays in force: %s", self._certificate, error
            )
            return False
        log.info("certificate %s loaded", self._certificate)
        return True

    def _read_stamp(self) -> _Stamp:
        stats = [path.stat() for path in (self._certificate, self._key)]
        return tuple((found.st_mtime_ns, found.st_size, found.st_ino) for found in stats)


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    # Without a password OpenSSL would ask the terminal for one.
    context.load_cert_chain(certificate, key, password="")


def describe(transport_ssl: ssl.SSLObject | ssl.SSLSocket | None) -> str:
    """Version and cipher of a session, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`; empty in clear."""
    cipher = transport_ssl.cipher() if transport_ssl else None
    return f"{cipher[1]} {cipher[0]}" if cipher and transport_ssl else ""
