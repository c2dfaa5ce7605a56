"""Mail that came over SMTP is found at once, and indexed a little later by the server that took it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.support.invariants import check_site
from tests.support.mailbox_client import Dialogue
from tests.support.server import Server, Site, make_site

PATIENCE_S = 60.0
MAIL = "Subject: =?utf-8?b?5Lya6K2w?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n東京駅で {}\r\n"


def answer(site: Site, *arguments: str) -> Any:
    """The document a command prints."""
    done = site.command(*arguments, "--json")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def found(site: Site, query: str) -> list[str]:
    """The previews of what a search finds; it must be complete."""
    page = answer(site, "search", query, "--account", "user0@example.org")
    assert page["complete"]
    return [item["preview"].strip() for item in page["items"]]


def test_rule_j1_mail_is_found_right_after_its_250_and_after_indexing(tmp_path: Path) -> None:
    """By a command beside the server; also while some is indexed and some is not, and by two workers."""
    site = make_site(tmp_path / "site")
    with Server(site=site, workers=2) as server:
        for number in range(3):
            with Dialogue(server.smtp) as client:
                replies = client.send("bob@example.com", ["user0@example.org"], MAIL.format(number).encode())
            assert replies["user0@example.org"].code == 250
            expected = [f"東京駅で {one}" for one in range(number, -1, -1)]
            assert found(site, "京駅 subject:会議") == expected
        assert found(site, "nowhere") == []
        deadline = time.monotonic() + PATIENCE_S
        while answer(site, "index", "status")["documents"] < 3:
            assert time.monotonic() < deadline, "the server did not index"
            time.sleep(0.2)
        assert found(site, '"東京駅で 1"') == ["東京駅で 1"]
        assert answer(site, "index", "status")["queued"] == 0
    assert check_site(site.directory) == []
