"""A creating request whose answer was lost in a crash, repeated with its key after a new start."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from mairust_core.app import opened
from mairust_core.config import Settings
from mairust_core.model.principal import Principal
from mairust_core.services.domains import Domains
from mairust_core.services.messages import Messages
from mairust_core.services.tokens import Tokens
from tests.support.server import Server, Site, make_site

BY = Principal.local("tester")
USER = "user0@example.org"
REQUESTS: dict[str, tuple[str, Any]] = {
    "domains": ("/domains", {"name": "new.example"}),
    "messages": (f"/accounts/{USER}/messages", b"Subject: once\r\n\r\nHello.\r\n"),
    "tokens": ("/tokens", {"name": "new", "scopes": ["read"]}),
}
ANSWERED = "idempotent-replayed"


@pytest.fixture
def site(site_settings: Settings) -> Site:
    """A site with an account on each database."""
    database = None if site_settings.database.sqlite_path else site_settings.database.url
    return make_site(site_settings.data_dir, database=database, accounts=1)


def send(server: Server, what: str, key: str) -> httpx.Response:
    """The request, once."""
    path, body = REQUESTS[what]
    mail = isinstance(body, bytes)
    token = Path(server.site.directory, "admin.token").read_text().strip()
    return httpx.post(
        f"http://{server.ready['http']}/api/v1{path}",
        content=body if mail else json.dumps(body).encode(),
        headers={
            "authorization": f"Bearer {token}",
            "content-type": "message/rfc822" if mail else "application/json",
            "idempotency-key": key,
        },
        trust_env=False,
        timeout=30,
    )


def made(settings: Settings, what: str) -> int:
    """How many of what was asked for there are."""
    with opened(settings) as here:
        if what == "domains":
            names = [one.name for one in here.service(Domains, BY).browse().items]
            return names.count("new.example")
        if what == "messages":
            return len(here.service(Messages, BY).browse(USER).items)
        return [one.name for one in here.service(Tokens, BY).browse().items].count("new")


@pytest.mark.parametrize(
    ("what", "step", "survives"),
    [
        ("domains", "request.kept", False),
        ("domains", "request.done", True),
        ("tokens", "request.kept", False),
        ("tokens", "request.done", True),
        ("messages", "commit.before", False),
        ("messages", "commit.after", True),
        ("messages", "request.done", True),
    ],
)
def test_a_request_whose_answer_was_lost_is_done_once(
    site: Site, site_settings: Settings, what: str, step: str, survives: bool
) -> None:
    """SIGKILL before or after the commit: the effect is there with its answer, or neither is."""
    key = uuid4().hex
    server = Server(site=site, http="127.0.0.1:0", crash_at=step)
    with server:
        with pytest.raises(httpx.TransportError):
            send(server, what, key)
        assert server.wait() == -signal.SIGKILL
    assert made(site_settings, what) == int(survives)
    with server:
        answers = [send(server, what, key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert (ANSWERED in answers[0].headers) is survives
    assert made(site_settings, what) == 1
