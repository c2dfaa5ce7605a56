"""R-BAK-1 over plain HTTP: what `POST /backups` holds, handed out in packs until nothing is missing."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mairust_core.model.account import Account
from mairust_core.operations import BytesIn
from mairust_core.services.messages import Messages
from mairust_core.services.plugins import Plugins
from mairust_core.transfer.repository.packs import Unpacker, read_directory
from tests.contract.services.conftest import Served
from tests.contract.services.test_messages import MAIL
from tests.support.linking import approved, manifest_text, new_id


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """Who speaks HTTP and no more."""
    headers = {"authorization": f"Bearer {served.admin_key}"}
    with httpx.Client(base_url=f"{served.http.url}/api/v1", headers=headers, timeout=60) as made:
        yield made


def fetched(client: httpx.Client, backup: str, wanted: list[str]) -> dict[str, bytes]:
    """Every wanted object by its id, verified, in as many packs as it takes."""
    found: dict[str, bytes] = {}
    while missing := [one for one in dict.fromkeys(wanted) if one not in found]:
        answer = client.post(f"/backups/{backup}/pack", json={"objects": missing}).raise_for_status()
        assert answer.headers["content-type"] == "application/vnd.mairust.pack"
        file = io.BytesIO(answer.content)
        directory = read_directory(file, "pack")
        unpacker = Unpacker(file, "pack")
        new = {entry.id.hex(): unpacker.read(entry) for entry in directory.entries()}
        assert new.keys() & set(missing), "a pack brings something"
        found |= new
    return found


def rows_of(table: dict[str, Any], objects: dict[str, bytes]) -> str:
    """The rows of a table as they are written."""
    return "".join(objects[one].decode() for one in table["objects"])


def test_r_bak_1_a_backup_is_begun_and_fetched_by_http(
    served: Served, client: httpx.Client, ann: Account, tmp_path: Path
) -> None:
    """Without a body: rows, settings, plugin.toml, hooks, and each mail they refer to; then it is over."""
    plugin = approved(served.site, tmp_path, manifest_text(new_id()))
    served.here(Messages).append(ann.address, BytesIn(chunks=[MAIL]))
    offer = client.post("/backups").raise_for_status().json()
    served.here(Plugins).remove(plugin)
    id_ = offer["id"]
    listed = [*offer["tables"], *offer["accounts"]]
    objects = fetched(client, id_, [id_ for one in listed for id_ in one["objects"]])
    tables = {one["table"]: rows_of(one, objects) for one in offer["tables"]}
    assert plugin in tables["hook"]
    assert {"network_allow", plugin} <= set(re.findall(r"[\w.]+", tables["plugin"])), "what plugin.toml says"
    [settings] = offer["files"]
    held = fetched(client, id_, [settings["object"]])[settings["object"]].decode()
    assert (settings["name"], str(served.site.settings.data_dir) in held) == ("settings.toml", True)
    hashes = client.get(f"/backups/{id_}/contents").raise_for_status().content
    mails = [hashes[at : at + 32].hex() for at in range(0, len(hashes), 32)]
    own = hashlib.sha256(MAIL).hexdigest()
    assert own in mails, "of all mail of the site"
    assert fetched(client, id_, [own]) == {own: MAIL}
    done = {"repository": "", "snapshot": "", "messages": 0, "objects_new": 0, "bytes_new": 0}
    assert client.post(f"/backups/{id_}/finish", json=done).raise_for_status().json()["pinned"] is False
    assert client.post(f"/backups/{id_}/pack", json={"objects": [own]}).status_code in {404, 503}


def test_what_was_fetched_before_is_named_and_not_offered_again(client: httpx.Client, ann: Account) -> None:
    """By the state of each account."""
    first = client.post("/backups", json={}).raise_for_status().json()
    [mine] = [one for one in first["accounts"] if one["address"] == ann.address]
    again = client.post("/backups", json={"known": [mine["state"]]}).raise_for_status().json()
    [now] = [one for one in again["accounts"] if one["address"] == ann.address]
    assert (bool(mine["objects"]), now["state"], now["objects"]) == (True, mine["state"], [])
    for one in (first, again):
        done = {"repository": "", "snapshot": "", "messages": 0, "objects_new": 0, "bytes_new": 0}
        client.post(f"/backups/{one['id']}/finish", json=done).raise_for_status()


def test_a_body_that_is_none_of_these_is_refused(client: httpx.Client) -> None:
    """States that are no states, and what is no object of JSON."""
    for body in (json.dumps({"known": ["x"]}), "[]", "{"):
        answer = client.post("/backups", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 422}, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
