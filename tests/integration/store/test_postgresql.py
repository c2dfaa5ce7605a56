"""PostgreSQL that goes away before, during and at COMMIT: every answer is the truth (rule C4, trap S12)."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from sqlalchemy import Connection, event

from mairust_core.errors import BadConfig, OutcomeUnknown, StorageDown, Temporary
from mairust_core.model.delivery import Stored
from mairust_core.store import open_storage
from mairust_core.store.postgresql import Postgresql
from tests.support.cutting_proxy import CuttingProxy
from tests.support.postgres import PostgresServer, require_server
from tests.support.stores import Kit, open_kit, settings_for


@pytest.fixture
def dsn(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """The URL of a database with our tables."""
    name = postgres_server.create_database(template=postgres_template)
    yield postgres_server.dsn(name)
    postgres_server.drop_database(name)


@pytest.fixture
def kit(tmp_path: Path, dsn: str) -> Iterator[Kit]:
    """An open site with a domain."""
    with open_kit(settings_for(tmp_path / "site", dsn)) as made:
        made.domain()
        yield made


@pytest.fixture
def proxy(dsn: str) -> Iterator[tuple[CuttingProxy, str]]:
    """A proxy before the database, and the URL that leads through it."""
    parts = urlsplit(dsn)
    hosts = parse_qs(parts.query).get("host")
    if not hosts:
        pytest.fail("the proxy needs a server on a UNIX socket: unset MAIRUST_TEST_PG_DSN")
    with tempfile.TemporaryDirectory(prefix="mrpx-", dir="/tmp") as directory:
        made = CuttingProxy(Path(directory), Path(hosts[0]))
        yield made, parts._replace(query=f"host={directory}").geturl()
        made.close()


def terminate(dsn: str, connection: Connection) -> None:
    """Kill the server's process behind a connection, and wait until it is gone."""
    pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]  # psycopg's
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


@pytest.mark.parametrize("moment", ["begin", "commit"])
def test_rule_c4_a_connection_killed_in_the_transaction_stores_nothing(
    kit: Kit, dsn: str, moment: str
) -> None:
    """Killed before the first statement or before COMMIT: a 4xx for all, nothing there, and on it goes."""
    ann = kit.account("ann@example.org")
    killed: list[bool] = []

    def kill(connection: Connection) -> None:
        if not killed:
            killed.append(True)
            terminate(dsn, connection)

    event.listen(kit.storage.engine, moment, kill)
    batch = [kit.mail(ann) for _ in range(5)]
    outcomes = kit.commit(*batch)
    assert killed
    assert all(isinstance(one, Temporary) and 400 <= one.reply.code < 500 for one in outcomes)
    assert kit.rows("SELECT count(*) FROM message") == [(0,)]
    kit.store(*batch)
    assert kit.problems() == []


def test_rule_c4_a_commit_whose_answer_was_lost_is_looked_up_and_found(
    tmp_path: Path, proxy: tuple[CuttingProxy, str]
) -> None:
    """The server committed, the connection died: the senders hear “stored”, and it is there once."""
    cutting, url = proxy
    with open_kit(settings_for(tmp_path / "site", url)) as kit:
        kit.domain()
        ann = kit.account("ann@example.org")
        batch = [kit.mail(ann, trace=True) for _ in range(5)]
        cutting.when = "after"
        outcomes = kit.commit(*batch)
        assert cutting.cuts == 1
        assert outcomes == [Stored(ids=(one.copies[0].id,)) for one in batch]
        assert kit.rows("SELECT count(*) FROM message") == [(5,)]
        assert kit.problems() == []


def test_rule_c4_a_commit_that_never_arrived_is_looked_up_and_not_found(
    tmp_path: Path, proxy: tuple[CuttingProxy, str]
) -> None:
    """The connection died before the server heard of it: the senders keep the mail, and nothing is there."""
    cutting, url = proxy
    with open_kit(settings_for(tmp_path / "site", url)) as kit:
        kit.domain()
        ann = kit.account("ann@example.org")
        batch = [kit.mail(ann) for _ in range(5)]
        cutting.when = "before"
        outcomes = kit.commit(*batch)
        assert cutting.cuts == 1
        assert all(isinstance(one, OutcomeUnknown) for one in outcomes)
        assert kit.rows("SELECT count(*) FROM message") == [(0,)]
        kit.store(*batch)
        assert kit.problems() == []


def test_trap_s12_a_server_that_is_gone_is_answered_for_now_and_service_resumes(tmp_path: Path) -> None:
    """Every connection is dead at once; when the server is back the same site works on by itself."""
    server = require_server(outside=False)
    try:
        url = server.dsn(server.create_database())
        with open_kit(settings_for(tmp_path / "site", url)) as kit:
            kit.domain()
            ann = kit.account("ann@example.org")
            kit.store(kit.mail(ann))
            server.kill()
            outcomes = kit.commit(*(kit.mail(ann) for _ in range(3)))
            assert all(isinstance(one, Temporary) for one in outcomes)
            with pytest.raises(StorageDown), kit.storage.read():
                pytest.fail("read from a server that is gone")
            server.restart()
            kit.store(kit.mail(ann))
            assert kit.problems() == []
    finally:
        server.stop()


def test_a_250_means_stored_whatever_the_servers_default_says(dsn: str) -> None:
    """Sessions ask for synchronous commits themselves (trap D1), and end transactions that hang."""
    storage = open_storage(dsn)
    try:
        with storage.write() as tx:
            shown = [
                storage.fetch_all(tx, f"SHOW {name}", ())[0][0]
                for name in ("synchronous_commit", "lock_timeout", "idle_in_transaction_session_timeout")
            ]
        assert shown == ["on", "10s", "1min"]
    finally:
        storage.close()


def test_a_deadlock_is_tried_again(kit: Kit) -> None:
    """Somebody who locks accounts the other way round meets the committer; its mail goes in all the same."""
    first, second = kit.account("u1@example.org"), kit.account("u2@example.org")
    with psycopg.connect(kit.settings.database.url) as other:
        other.execute("SET deadlock_timeout = '10s'")  # the committer is the one that is told
        other.execute("SELECT 1 FROM account WHERE id = %s FOR UPDATE", (second,))
        committing = _Committing(kit, first, second)
        committing.wait_until_blocked(kit.settings.database.url)
        other.execute("SELECT 1 FROM account WHERE id = %s FOR UPDATE", (first,))
        other.rollback()
    assert [type(one) for one in committing.outcomes()] == [Stored]
    assert kit.problems() == []


class _Committing:
    """A commit on a thread of its own."""

    def __init__(self, kit: Kit, *accounts: int) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(lambda: kit.commit(kit.mail(*accounts)))

    def wait_until_blocked(self, dsn: str) -> None:
        """Until a session of this database waits for a lock."""
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        with psycopg.connect(dsn, autocommit=True) as admin:
            while admin.execute(f"{waiting} AND wait_event_type = 'Lock'".encode()).fetchone() == (0,):
                pass

    def outcomes(self) -> list[object]:
        """What became of it."""
        found = list(self._future.result(60))
        self._pool.shutdown()
        return list[object](found)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hidden1@127.0.0.1:1/x?password=hidden2",
        "postgresql://u@127.0.0.1:1/x?pass%77ord=hidden1&sslpassword=hidden2",
        "postgresql://u:hidden1@127.0.0.1:1/x?nonsense=1&password=hidden2",
    ],
)
def test_trap_a3_no_password_of_the_address_is_in_an_error(url: str) -> None:
    """Nor in its traceback, wherever in the URL it stands."""
    with (
        closing(Postgresql(url)) as storage,
        pytest.raises((StorageDown, BadConfig)) as refused,
        storage.read(),
    ):
        pass
    told = "".join(traceback.format_exception(refused.value))
    assert "127.0.0.1:1/x" in told
    assert "hidden" not in told


def test_what_postgresql_says_of_itself_is_one_line(tmp_path: Path) -> None:
    """Its reasons have several, and the log has one for each matter."""
    with closing(Postgresql(f"postgresql://u@/x?host={tmp_path}")) as storage:
        with pytest.raises(StorageDown, match="No such file") as refused, storage.read():
            pass
        assert "\n" not in str(refused.value)
        assert "\t" not in str(refused.value)
