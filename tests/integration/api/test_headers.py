"""Headers that let clients save work, and those that keep browsers out of trouble."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import date

import httpx
import pytest
import trustme

from mairust_core.api import create_app
from mairust_core.api.document import describe, document
from mairust_core.api.server import HttpServer
from mairust_core.errors import NotFound
from mairust_core.model.account import Account
from mairust_core.model.forms import Removed
from mairust_core.model.principal import Scope
from mairust_core.operations import Deprecated, Service, operation
from mairust_core.services.domains import Domains
from mairust_core.tls import CertificateStore
from tests.integration.api.conftest import Web
from tests.integration.api.test_downloads import append

GOING = Deprecated(since=date(2027, 1, 31), sunset=date(2028, 2, 29), successor="olden.fresh")


class Olden(Service):
    """Operations of two versions."""

    @operation("GET", "/olden", scope=Scope.READ, deprecated=GOING)
    def stale(self, *, fail: bool = False) -> Removed:
        """Be replaced by something better."""
        if fail:
            raise NotFound("domain", name="x")
        return Removed(name="stale")

    @operation("GET", "/olden", scope=Scope.READ, since=2)
    def fresh(self) -> Removed:
        """Be what replaces it."""
        return Removed(name="fresh")


@contextlib.asynccontextmanager
async def serving(web: Web, *services: type[Service], tls: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server in this process."""
    certificates = None
    if tls:
        pem = web.site.settings.data_dir / "both.pem"
        trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(pem)
        certificates = CertificateStore(pem, pem)
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(create_app(web.site, services=services), tls=certificates)
    await server.start([listener])
    base = f"{'https' if tls else 'http'}://localhost:{listener.getsockname()[1]}"
    headers = {"authorization": f"Bearer {web.key}"}
    try:
        async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False, verify=False) as one:
            yield one
    finally:
        await server.stop(5)


async def test_a_deprecated_operation_says_until_when_and_what_instead(web: Web) -> None:
    """On every answer, a refusal too; its successor lives beside it under /api/v2 and says nothing."""
    async with serving(web, Olden) as client:
        for query, status in (("", 200), ("?fail=true", 404), ("?nonsense=1", 422)):
            answer = await client.get(f"/api/v1/olden{query}")
            assert answer.status_code == status
            assert answer.headers["deprecation"] == "@1801353600"
            assert answer.headers["sunset"] == "Tue, 29 Feb 2028 00:00:00 GMT"
            links = answer.headers["link"].split(", ")
            assert [link.rpartition("; ")[2] for link in links] == [
                'rel="deprecation"',
                'rel="successor-version"',
            ]
            assert links[1].startswith("<https://")
            assert "#oldenfresh>" in links[1]
        fresh = await client.get("/api/v2/olden")
    assert fresh.json()["name"] == "fresh"
    assert not {"deprecation", "sunset", "link"} & set(fresh.headers)


def test_the_document_says_it_too() -> None:
    """OpenAPI has a word for it, and both versions are in it."""
    paths = describe((Olden,))["paths"]
    assert paths["/api/v1/olden"]["get"]["deprecated"] is True
    assert "deprecated" not in paths["/api/v2/olden"]["get"]


def test_an_operation_stays_for_twelve_months_at_least() -> None:
    """R-API-3: a shorter notice is refused when the class is made."""
    with pytest.raises(ValueError, match="twelve months"):
        Deprecated(since=date(2027, 1, 1), sunset=date(2027, 12, 31), successor="x.y")
    assert Deprecated(since=date(2028, 2, 29), sunset=date(2029, 2, 28), successor="x.y")


@pytest.mark.parametrize("path", ["/api/v1/messages/{id}", "/api/v1/messages/{id}/raw", "/api/v1/domains"])
def test_what_the_client_has_is_not_sent_again(web: Web, ann: Account, path: str) -> None:
    """If-None-Match with the ETag, alone, weak, in a list, or `*`: 304 without a body."""
    path = path.format(id=append(web, ann, b"Subject: tagged\r\n\r\n"))
    first = web.client.get(path)
    etag = first.headers["etag"]
    assert etag.startswith('"')
    assert first.headers["cache-control"] == "private, no-cache"
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = web.client.get(path, headers={"if-none-match": given})
        assert (again.status_code, again.content) == (304, b""), given
        assert again.headers["etag"] == etag
        assert again.headers["x-content-type-options"] == "nosniff"
    for given in ('"other"', "", "nonsense", etag.strip('"'), etag[:-2] + '"'):
        assert web.client.get(path, headers={"if-none-match": given}).content == first.content, given


def test_a_change_changes_the_etag(web: Web, ann: Account) -> None:
    """A list with one more, and the two renderings of a message."""
    where = f"/api/v1/accounts/{ann.address}/messages"
    before = web.client.get(where).headers["etag"]
    append(web, ann, b"Subject: new\r\n\r\n")
    changed = web.client.get(where, headers={"if-none-match": before})
    assert changed.status_code == 200
    assert changed.headers["etag"] != before


def test_what_changes_something_has_no_etag(web: Web) -> None:
    """Nor has a refusal; neither is stored."""
    for answer in (
        web.client.post("/api/v1/domains", json={"name": "not a domain"}),
        web.client.get("/api/v1/domains/gone.example"),
        web.client.get("/health/live"),
    ):
        assert "etag" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"


async def test_browsers_are_told_to_stay_on_tls(web: Web) -> None:
    """Over TLS and nowhere else (RFC 6797 §7.2)."""
    async with serving(web, Domains, tls=True) as client:
        for path in ("/health/live", "/api/v1/domains", "/nothing"):
            answer = await client.get(path)
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in web.client.get("/health/live").headers


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT"])
def test_no_other_origin_is_let_in(web: Web, method: str) -> None:
    """CORS is closed: a preflight gets no permission, an answer cannot be read elsewhere."""
    headers = {
        "origin": "https://evil.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    answer = web.client.request(method, "/api/v1/domains", headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_the_document_says_which_answers_have_a_tag() -> None:
    """Of every GET but streams: the header, and the 304 without a body."""
    for path in document()["paths"].values():
        for method, entry in path.items():
            if not entry["operationId"].startswith(("plugin.", "exports.messages")):
                answers = entry["responses"]
                told = "ETag" in answers[min(answers)].get("headers", {}), "304" in answers
                assert told == (method == "get", method == "get"), entry["operationId"]
                assert "content" not in answers.get("304", {})
