"""Real mail over REST: what goes in comes out, to the octet."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from mairust_core.model.account import Account
from mairust_core.operations import BytesIn
from mairust_core.services.messages import Messages
from tests.contract.services.conftest import Served, serving


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served site on each database for this file alone: thousands of messages would burden the others'."""
    with serving(request, tmp_path_factory.mktemp("corpus")) as found:
        yield found


@pytest.fixture(scope="session")
def mail() -> list[Path]:
    """Every message of the corpus `mime`."""
    corpora = os.environ.get("MAIRUST_CORPORA")
    if not corpora:
        pytest.skip("MAIRUST_CORPORA names no directory of corpora")
    found = sorted(Path(corpora, "mime").glob("*.eml"))
    assert len(found) >= 300
    return found


def test_trap_s3_the_corpus_survives_rest(served: Served, ann: Account, mail: list[Path]) -> None:
    """Each file appended by a plain HTTP client is returned identical, with its length and its digest."""
    headers = {"authorization": f"Bearer {served.admin_key}"}
    where = f"/api/v1/accounts/{quote(ann.address)}/messages"
    with httpx.Client(base_url=served.http.url, headers=headers, trust_env=False) as client:
        for path in mail:
            data = path.read_bytes()
            appended = client.post(where, content=data, headers={"content-type": "message/rfc822"})
            assert appended.status_code == 201, (path.name, appended.text)
            raw = client.get(f"/api/v1/messages/{appended.json()['id']}/raw", params={"original": "true"})
            assert raw.content == data, path.name
            digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
            assert raw.headers["repr-digest"] == f"sha-256=:{digest}:"


def test_trap_s3_the_corpus_survives_the_proxy(served: Served, ann: Account, mail: list[Path]) -> None:
    """The same through the remote proxy; and both ways show the same of each."""
    here, there = served.here(Messages), served.there(Messages)
    for path in mail:
        data = path.read_bytes()
        summary = there.append(ann.address, BytesIn(chunks=[data], size_bytes=len(data)))
        assert b"".join(there.raw(str(summary.id), original=True).chunks) == data, path.name
        assert there.show(str(summary.id)) == here.show(str(summary.id)), path.name


def test_trap_t1_every_part_of_the_corpus_can_be_had(served: Served, ann: Account, mail: list[Path]) -> None:
    """Text, HTML and each attachment of each mail come whole, here and through the proxy the same."""
    here, there = served.here(Messages), served.there(Messages)
    for path in mail:
        id_ = str(int(here.append(ann.address, BytesIn(chunks=[path.read_bytes()])).id))
        b"".join(there.text(id_).chunks).decode("utf-8")
        for one in here.show(id_).attachments:
            sent = b"".join(there.attachment(id_, one.number).chunks)
            assert sent == b"".join(here.part(id_, one.part).chunks), (path.name, one)
            assert sent or not one.size, (path.name, one)
