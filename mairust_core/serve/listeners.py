"""The listeners of one worker, from the settings."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mairust_core.app import Site
from mairust_core.errors import BadConfig
from mairust_core.model.envelope import Road
from mairust_core.receive.road import MailRoad
from mairust_core.serve.sockets import DELIVER
from mairust_core.smtp.limits import Limits
from mairust_core.smtp.server import Listener
from mairust_core.smtp.settings import BareNewlines, ListenerSettings
from mairust_core.smtp.trusted import TrustedNetworks
from mairust_core.tls import CertificateStore

if TYPE_CHECKING:
    from mairust_core.api.server import HttpServer

DELIVER_RECIPIENTS = 100_000
"""Of one `deliver`: all that its command line holds. `smtp.max_recipients` would be 75 for ever there."""


class Listeners:
    """SMTP, LMTP, the private socket of `deliver`, and HTTP, as far as they have sockets."""

    def __init__(self, site: Site, road: MailRoad, sockets: dict[str, socket.socket]) -> None:
        self._site = site
        self._sockets = sockets
        self._mail = [
            (name, Listener(road, settings, site.counters))
            for name, settings in self._settings().items()
            if name in sockets
        ]
        self._http: HttpServer | None = None

    async def start(self) -> None:
        """Take connections on every socket; raises `BadConfig` for an unusable certificate."""
        for name, listener in self._mail:
            await listener.start(self._sockets[name])
        if "http" in self._sockets:
            self._http = self._make_http()
            await self._http.start([self._sockets["http"]])

    def _make_http(self) -> HttpServer:
        from mairust_core.api import create_app
        from mairust_core.api.server import HttpServer

        http = self._site.settings.http
        return HttpServer(create_app(self._site), tls=certificates("http", http.tls_cert, http.tls_key))

    async def stop(self, grace_s: float) -> None:
        """Stop accepting, finish what is under way within the grace period."""
        ending = [listener.stop(grace_s) for _, listener in self._mail]
        if self._http is not None:
            await asyncio.gather(*ending, self._http.stop(grace_s))
        else:
            await asyncio.gather(*ending)

    def _settings(self) -> dict[str, ListenerSettings]:
        settings = self._site.settings
        smtp, lmtp, hostname = settings.smtp, settings.lmtp, settings.node.hostname
        limits = Limits(
            max_size_bytes=smtp.max_size,
            max_recipients=smtp.max_recipients,
            max_connections=smtp.max_connections,
            connections_per_address=smtp.connections_per_address,
            idle_s=smtp.idle_timeout_s,
            session_s=smtp.session_timeout_s,
        )
        bare_newlines: BareNewlines = "accept" if smtp.bare_newlines == "accept" else "reject"
        return {
            "smtp": ListenerSettings(
                hostname=hostname,
                limits=limits,
                trusted=TrustedNetworks(map(str, smtp.trusted_networks)),
                proxy_protocol=smtp.proxy_protocol,
                bare_newlines=bare_newlines,
                certificates=certificates("smtp", smtp.tls_cert, smtp.tls_key),
            ),
            "lmtp": ListenerSettings(
                hostname=hostname,
                road=Road.LMTP,
                limits=limits,
                trusted=TrustedNetworks(map(str, lmtp.trusted_networks)),
                bare_newlines=bare_newlines,
            ),
            DELIVER: ListenerSettings(
                hostname=hostname,
                road=Road.DELIVER,
                limits=replace(limits, max_recipients=DELIVER_RECIPIENTS),
            ),
        }


def certificates(section: str, cert: Path | None, key: Path | None) -> CertificateStore | None:
    """The certificate of a listener, or None; raises `BadConfig` when its files are unusable."""
    if cert is None or key is None:
        return None
    try:
        return CertificateStore(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise BadConfig("certificate", section=section, path=cert, why=error) from error
