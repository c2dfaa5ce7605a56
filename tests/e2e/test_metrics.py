"""R-MON-1 on a real server: the same numbers from every worker, whatever became of the workers before."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.exposition import samples
from tests.support.mailbox_client import Dialogue, Lost
from tests.support.postgres import require_server
from tests.support.server import Server, Site, make_site, wait_for_health

MAIL = b"Subject: hello\r\n\r\nbody\r\n"
TOO_LARGE = b"Subject: large\r\n\r\n" + b"x" * 2000 + b"\r\n"
USER, OTHER, NOBODY = "user0@example.org", "user1@example.org", "nobody@example.org"
PATIENCE_S = 60.0
LOOKS = 12
"""So many connections reach both workers."""
OF_THE_DATABASE = ("mairust_jobs", "mairust_index", "mairust_plugin")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that takes mail of a kilobyte."""
    made = make_site(tmp_path / "site", accounts=2)
    (made.directory / "mairust.toml").write_text('[smtp]\nmax_size = "1KiB"\n')
    return made


def told(server: Server, timeout_s: float = PATIENCE_S) -> dict[str, float]:
    """What a monitor reads, on a connection of its own."""
    answer = httpx.get(f"http://{server.ready['http']}/metrics", trust_env=False, timeout=timeout_s)
    assert answer.status_code == 200, answer.text
    return samples(answer.text)


def of_mail(server: Server) -> dict[str, float]:
    """What the requests that read it do not change."""
    return {
        key: value
        for key, value in told(server).items()
        if key.startswith(("mairust_mail", "mairust_connections", "mairust_recipients", "mairust_workers"))
    }


def until(server: Server, holds: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """Ask until the numbers are so."""
    deadline = time.monotonic() + PATIENCE_S
    found: dict[str, float] = {}
    while True:
        with contextlib.suppress(httpx.TransportError):  # it waits in the queue of a worker that stops
            found = told(server, timeout_s=2.0)
            if holds(found):
                return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def closed(found: dict[str, float]) -> bool:
    """Whether every connection is."""
    return not any(value for key, value in found.items() if key.startswith("mairust_connections_open{"))


def send(server: Server, *mails: bytes, recipients: tuple[str, ...] = (USER,)) -> list[int]:
    """Send mails on one connection; the code of each answer to the last recipient."""
    with Dialogue(server.smtp) as client:
        return [client.send("bob@example.com", recipients, mail)[recipients[-1]].code for mail in mails]


def test_r_mon_1_every_worker_tells_the_same(site: Site) -> None:
    """Mail that was stored and refused, on three roads, and recipients that nobody is."""
    with Server(site=site, workers=2, http="127.0.0.1:0") as server:
        for _ in range(6):
            assert send(server, MAIL) == [250]
        assert send(server, TOO_LARGE, MAIL) == [552, 250]
        assert send(server, MAIL, recipients=(USER, NOBODY)) == [550]
        for endpoint, lmtp in ((server.lmtp, True), (server.deliver, False)):
            with Dialogue(endpoint, lmtp=lmtp) as client:
                answers = client.send("bob@example.com", [USER, OTHER], MAIL)
                assert {one.code for one in answers.values()} == {250}
        until(server, closed)
        first = of_mail(server)
        assert [of_mail(server) for _ in range(LOOKS)] == [first] * LOOKS
    expected = {
        "mairust_workers": 2,
        'mairust_connections_total{road="smtp"}': 8,
        'mairust_connections_total{road="lmtp"}': 1,
        'mairust_mails_total{road="smtp",outcome="stored"}': 8,
        'mairust_mails_total{road="smtp",outcome="refused"}': 1,
        'mairust_mails_total{road="smtp",outcome="deferred"}': 0,
        'mairust_mails_total{road="lmtp",outcome="stored"}': 2,
        'mairust_mails_total{road="deliver",outcome="stored"}': 2,
        'mairust_mail_bytes_total{road="smtp"}': 8 * len(MAIL),
        'mairust_mail_bytes_total{road="lmtp"}': len(MAIL),
        'mairust_recipients_refused_total{road="smtp",outcome="refused"}': 1,
        "mairust_mails_waiting": 0,
        "mairust_mail_seconds_count": 11,
    }
    assert {key: first[key] for key in expected} == expected


def test_r_mon_1_a_worker_that_is_replaced_takes_no_number_with_it(site: Site) -> None:
    """What it counted stays, what it had open is gone, and its successor goes on."""
    with Server(site=site, workers=2, http="127.0.0.1:0") as server:
        sent = sum(len(send(server, MAIL)) for _ in range(6))
        with contextlib.ExitStack() as stack:
            for _ in range(6):
                stack.enter_context(Dialogue(server.smtp))
            assert told(server)['mairust_connections_open{road="smtp"}'] >= 6
            for pid in server.worker_pids:
                os.kill(pid, signal.SIGKILL)
            until_successors(server)
        found = until(server, closed)
        assert found['mairust_mails_total{road="smtp",outcome="stored"}'] == sent
        assert found['mairust_connections_total{road="smtp"}'] == 12
        assert send(server, MAIL) == [250]
        assert told(server)['mairust_mails_total{road="smtp",outcome="stored"}'] == sent + 1


def test_r_mon_1_a_worker_that_stops_is_not_there_while_it_finishes(site: Site) -> None:
    """Its open transactions are; they are told until the last has ended."""
    with Server(site=site, workers=2, http="127.0.0.1:0") as server:
        with contextlib.ExitStack() as stack:
            for _ in range(LOOKS):
                client = stack.enter_context(Dialogue(server.smtp))
                client.envelope("bob@example.com", [USER])
            assert told(server)["mairust_workers"] == 2
            os.kill(server.worker_pids[0], signal.SIGTERM)
            until(
                server,
                lambda found: (
                    (found["mairust_workers"], found['mairust_connections_open{road="smtp"}']) == (1, LOOKS)
                ),
            )
        until_successors(server)


def until_successors(server: Server) -> None:
    """Wait until both workers are there again."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert time.monotonic() < deadline
        with contextlib.suppress(httpx.TransportError, Lost):
            if told(server)["mairust_workers"] == 2:
                return
        time.sleep(0.05)


def test_r_mon_1_requests_are_counted_by_all_workers(site: Site) -> None:
    """Whichever answered them."""
    with Server(site=site, workers=2, http="127.0.0.1:0") as server:
        for _ in range(LOOKS):
            answer = httpx.get(f"http://{server.ready['http']}/api/v1/nowhere", trust_env=False)
            assert answer.status_code == 404
        key = 'mairust_http_requests_total{method="GET",status="4xx"}'
        until(server, lambda found: found[key] == LOOKS)


def test_r_mon_1_without_its_database_a_server_still_tells_the_rest(site: Site) -> None:
    """Not ready, nothing of rows, and deferred mail is counted; from elsewhere nobody can be judged."""
    path = site.directory / "mairust.db"
    with Server(site=site, http="127.0.0.1:0") as server:
        before = told(server)
        assert (before["mairust_ready"], send(server, MAIL)) == (1, [250])
        assert any(key.startswith("mairust_jobs") for key in before)
        with away(path):
            assert send(server, MAIL) == [451]
            wait_for_health(server, 503)
            found = told(server)
            elsewhere = {"x-forwarded-for": "192.0.2.1", "authorization": "Bearer mk_x_y"}
            url = f"http://{server.ready['http']}/metrics"
            assert httpx.get(url, headers=elsewhere, trust_env=False, timeout=PATIENCE_S).status_code == 503
        assert found["mairust_ready"] == 0
        assert not [key for key in found if key.startswith(OF_THE_DATABASE)]
        assert {key for key in before if not key.startswith(OF_THE_DATABASE)} == set(found)
        deferred = [
            found[f'mairust_{what}_total{{road="smtp",outcome="deferred"}}']
            for what in ("mails", "recipients_refused")
        ]
        assert sum(deferred) == 1  # whichever was asked first
        assert found['mairust_mails_total{road="smtp",outcome="stored"}'] == 1
        until(server, lambda found: found["mairust_ready"] == 1 and "mairust_index_waiting" in found)


@contextlib.contextmanager
def away(path: Path) -> Iterator[None]:
    """A file is not where it was, meanwhile."""
    path.rename(path.with_name("away"))
    try:
        yield
    finally:
        path.with_name("away").rename(path)


def test_r_mon_1_a_database_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    """PostgreSQL stands still: the question is given up, and the rest is told."""
    postgres = require_server(outside=False)
    try:
        site = make_site(tmp_path / "site", database=postgres.dsn(postgres.create_database()), accounts=1)
        with Server(site=site, http="127.0.0.1:0") as server:
            assert told(server)["mairust_ready"] == 1
            with postgres.pause():
                wait_for_health(server, 503)
                found = told(server)
                assert (found["mairust_ready"], found["mairust_workers"]) == (0, 1)
                assert not [key for key in found if key.startswith(OF_THE_DATABASE)]
            until(server, lambda found: found["mairust_ready"] == 1 and "mairust_index_waiting" in found)
    finally:
        postgres.stop()
