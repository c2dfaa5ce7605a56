"""The API fuzzed from its own document, with an administrator's key: no 5xx, and answers as documented.

`MAIRUST_FUZZ_SECONDS` makes it longer, `MAIRUST_FUZZ_SEED` repeats a run.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.config import Settings
from mairust_core.model.principal import Principal
from mairust_core.operations import BytesIn
from mairust_core.services.messages import Messages
from tests.support.server import Server, Site, addresses, clean_environment, make_site

SECONDS = int(os.environ.get("MAIRUST_FUZZ_SECONDS", "9"))
SEED = int(os.environ.get("MAIRUST_FUZZ_SEED", random.randrange(1 << 31)))
HARMLESS = "positive_data_acceptance"
"""Values mean more than their schema says: an address that is none is refused, and the document says 422."""
ENDS_ITSELF = "tokens.revoke"
"""Found ids are used again: it would revoke the key that fuzzes. It has a run of its own."""
MAIL = b"Subject: %d\r\nContent-Type: text/html\r\n\r\n<p>x"


@pytest.fixture
def server(site_settings: Settings) -> Iterator[Server]:
    """A real server without limits of rate, on each database."""
    database = None if site_settings.database.sqlite_path else site_settings.database.url
    site = make_site(site_settings.data_dir, database=database, accounts=2)
    unlimited = {"MAIRUST_HTTP__KEY_REQUESTS_PER_MINUTE": "0"}
    with Server(site=site, http="127.0.0.1:0", env=unlimited) as made:
        yield made


def message_ids(site: Site) -> list[str]:
    """Ids of a few messages, appended for that."""
    with site.opened() as here:
        messages = here.service(Messages, Principal.local("tester"))
        return [
            str(messages.append(address, BytesIn(chunks=[MAIL % number])).id)
            for number in range(3)
            for address in addresses(2)
        ]


def fuzz(server: Server, ids: list[str], directory: Path, *options: str) -> str:
    """One run; fails with what it found."""
    key = (server.site.directory / "admin.token").read_text().strip()
    base = f"http://{server.ready['http']}"
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{base}/api/v1/openapi.json", "--no-color",
        "--header", f"Authorization: Bearer {key}", "--seed", str(SEED), "--generation-database", "none",
        "--checks", "all", "--exclude-checks", HARMLESS, "--continue-on-failure", "--warnings", "off",
        *options,
    ]  # fmt: skip
    hooks = {
        "SCHEMATHESIS_HOOKS": "tests.support.fuzz_hooks",
        "FUZZ_IDS": " ".join(ids),
        "FUZZ_ADDRESSES": " ".join(addresses(2)),
    }
    done = subprocess.run(
        command,
        cwd=directory,
        env=clean_environment(hooks),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS * 3 + 120,
    )
    assert done.returncode == 0, f"seed {SEED}\n{done.stdout[-20_000:]}{done.stderr[-2000:]}"
    return done.stdout


def test_nothing_a_client_sends_breaks_the_api(server: Server, tmp_path: Path) -> None:
    """Every operation, valid and invalid requests, alone and in sequences; the server logs no error."""
    print(f"seed {SEED}")
    ids = message_ids(server.site)
    told = fuzz(
        server, ids, tmp_path, "--exclude-operation-id", ENDS_ITSELF, "--max-time", str(SECONDS),
        "--max-examples", "20",
    )  # fmt: skip
    assert "Tested: " in told
    fuzz(
        server, ids, tmp_path, "--include-operation-id", ENDS_ITSELF, "--phases", "coverage,fuzzing",
        "--max-examples", "20",
    )  # fmt: skip
    log = server.stderr_file.read_text(errors="replace")
    assert "Traceback" not in log
    assert " 500 " not in log
    assert " 429 " not in log
    reached = [what for what in ("/messages 201", "/raw 200", "/messages 200") if what in log]
    assert reached, f"seed {SEED}: the fuzzer never got as far as a message"
