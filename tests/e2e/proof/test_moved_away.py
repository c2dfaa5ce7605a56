"""Files of a site go away, before a server starts or under it: nothing that is lost is answered 250."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import forks
from tests.support.mailbox_client import Dialogue, Lost
from tests.support.server import (
    END_TIMEOUT_S,
    Server,
    ServerFailed,
    Site,
    clean_environment,
    command_line,
    health,
    wait_for_health,
)

MAIL = b"Subject: kept\r\n\r\n%d\r\n"
PATIENCE_S = 60.0


def send(server: Server) -> int:
    """Send a mail; the code of its answer, or of the refusal before it."""
    with contextlib.suppress(Lost), Dialogue(server.smtp) as client:
        mail = MAIL % int.from_bytes(os.urandom(7))
        return client.send("bob@example.com", ["user0@example.org"], mail)["user0@example.org"].code
    return 0


def wait_for(wanted: int, ask: Callable[[], int]) -> None:
    """Ask until that is the answer."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := ask()) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


@contextmanager
def gone(path: Path, instead: Callable[[Path], object]) -> Iterator[None]:
    """Have something else, or nothing, in the place of a path."""
    away = path.with_name("away")
    path.rename(away)
    instead(path)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.rename(path.with_name("instead"))
        away.rename(path)


def nothing(_: Path) -> None:
    """Leave the place empty."""


def mails_that_are_whole(site: Site) -> int:
    """How many there are, each read from its bytes."""
    done = site.command("export", "mbox", site.directory.with_name("out"), "--account", "user0@example.org")
    assert done.returncode == 0, done.stderr
    return sum(path.read_bytes().count(b"Subject: kept") for path in site.directory.parent.rglob("*.mbox"))


def deliver(site: Site) -> int:
    """Deliver a mail from a pipe; the exit code."""
    call = command_line(site, "deliver", "user0@example.org")
    return forks.run(call, input=MAIL % 0, env=clean_environment(), timeout=END_TIMEOUT_S).returncode


def screen(server: Server) -> str:
    """What is going on, as the server says."""
    token = server.site.directory / "admin.token"
    done = server.site.command("--server", f"http://{server.ready['http']}", "--token-file", token, "status")
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.mark.parametrize("instead", [Path.mkdir, nothing], ids=["empty", "missing"])
def test_rule_c2_no_mail_goes_where_the_blobs_are_not_mounted(
    sqlite_site: Site, instead: Callable[[Path], object]
) -> None:
    """`serve` exits 78, `deliver` 75; when the disk is back every mail is whole."""
    assert deliver(sqlite_site) == 0
    with gone(sqlite_site.directory / "blobs", instead):
        with pytest.raises(ServerFailed, match=r"exit 78: .*not mounted"):
            Server(site=sqlite_site).start()
        assert deliver(sqlite_site) == 75
        assert sqlite_site.command("message", "list", "--account", "user0@example.org").returncode == 78
    assert mails_that_are_whole(sqlite_site) == 1


def test_rule_c2_a_server_whose_blobs_are_unmounted_takes_no_mail(sqlite_site: Site) -> None:
    """4xx and not ready, then on by itself; what was answered 250 is whole."""
    with Server(site=sqlite_site, http="127.0.0.1:0") as server:
        told: list[int] = [send(server)]

        def answer() -> int:
            told.append(send(server))
            return told[-1]

        with gone(sqlite_site.directory / "blobs", Path.mkdir):
            wait_for(452, answer)
            wait_for_health(server, 503)
            assert "out of reach" in screen(server)
        wait_for(250, answer)
        wait_for_health(server, 200)
        assert server.terminate() == 0
    assert set(told) == {250, 452}
    assert mails_that_are_whole(sqlite_site) == told.count(250)


@pytest.mark.parametrize("instead", [Path.touch, nothing], ids=["replaced", "deleted"])
def test_rule_c3_a_server_whose_database_is_gone_takes_no_mail(
    sqlite_site: Site, instead: Callable[[Path], object]
) -> None:
    """4xx and not ready; when the file is back it goes on, and nothing that was answered 250 is missing."""
    with Server(site=sqlite_site, http="127.0.0.1:0") as server:
        assert (send(server), health(server)) == (250, 200)
        with gone(sqlite_site.directory / "mairust.db", instead):
            assert send(server) == 451
            wait_for_health(server, 503)
            assert "deleted or replaced" in server.stderr()
        wait_for(250, lambda: send(server))
        wait_for_health(server, 200)
        assert server.terminate() == 0
    assert mails_that_are_whole(sqlite_site) == 2
