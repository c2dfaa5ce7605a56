"""R-MON-1: what a monitor is told, on both databases, also when the database does not answer."""

from __future__ import annotations

import re
import shutil
import socket

import httpx
import pytest
from sqlalchemy import delete, insert

from mairust_core import __version__, store
from mairust_core.api.site_metrics import MAX_QUEUED
from mairust_core.ids import now_ms
from mairust_core.model.account import Account
from mairust_core.model.job import NewJob
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.observe.counters import BOUNDS_S, METHODS, ROADS, STATUSES
from mairust_core.store.tables import index_queue, job
from tests.contract.services.conftest import Served
from tests.support.docs import CHECKOUT
from tests.support.exposition import read, samples

SERIES = {
    "mairust_info": "gauge",
    "mairust_ready": "gauge",
    "mairust_workers": "gauge",
    "mairust_connections_open": "gauge",
    "mairust_connections_total": "counter",
    "mairust_connections_refused_total": "counter",
    "mairust_mails_total": "counter",
    "mairust_mail_bytes_total": "counter",
    "mairust_recipients_refused_total": "counter",
    "mairust_mails_waiting": "gauge",
    "mairust_mail_seconds": "histogram",
    "mairust_http_requests_total": "counter",
    "mairust_http_request_seconds": "histogram",
    "mairust_disk_free_bytes": "gauge",
    "mairust_disk_size_bytes": "gauge",
}
FROM_THE_DATABASE = {
    "mairust_jobs": "gauge",
    "mairust_jobs_oldest_due_seconds": "gauge",
    "mairust_index_waiting": "gauge",
}


def told(served: Served) -> str:
    """The document."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        answer = client.get(f"{served.http.url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return answer.text


def status(served: Served, **headers: str) -> int:
    """How a request without a key is answered."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.get(f"{served.http.url}/metrics", headers=headers).status_code


@pytest.mark.parametrize(
    "header",
    ["forwarded", "via", "x-real-ip", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"],
)
def test_rule_g4_who_speaks_for_others_needs_a_key(served: Served, header: str) -> None:
    """Every header by which a proxy says so."""
    assert status(served) == 200
    assert status(served, **{header: "192.0.2.1"}) == 401


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("localhost", 200),
        ("LocalHost:8025", 200),
        ("127.0.0.1", 200),
        ("127.0.0.2:1", 200),
        ("[::1]:8025", 200),
        ("mx.example.org", 401),
        ("mx.example.org:8025", 401),
        ("localhost.example.org", 401),
        ("192.0.2.1:8025", 401),
        ("[2001:db8::1]", 401),
    ],
)
def test_rule_g4_who_asks_for_another_host_needs_a_key(served: Served, host: str, wanted: int) -> None:
    """A proxy hands on what its client asked for, and a name of a stranger may lead to loopback."""
    assert status(served, host=host) == wanted


def test_rule_g4_a_request_of_http_1_0_needs_no_host(served: Served) -> None:
    """Nobody is between."""
    url = httpx.URL(served.http.url)
    with socket.create_connection((url.host, url.port), timeout=60) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.recv(64).split()[1] == b"200"


def test_r_mon_1_every_series_is_there_once_and_in_the_format(served: Served) -> None:
    """Each with its help and its type, with labels of closed sets, also those that nothing was counted of."""
    found = read(told(served))
    own = {name: one.kind for name, one in found.items() if not name.startswith("mairust_plugin_")}
    assert own == SERIES | FROM_THE_DATABASE
    database = served.site.storage.name
    assert found["mairust_info"].samples == {
        f'mairust_info{{version="{__version__}",database="{database}"}}': 1.0
    }
    assert len(found["mairust_mails_total"].samples) == len(ROADS) * 3
    assert len(found["mairust_http_requests_total"].samples) == len(METHODS) * len(STATUSES)
    assert len(found["mairust_mail_seconds"].samples) == len(BOUNDS_S) + 3
    assert found["mairust_ready"].samples == {"mairust_ready": 1.0}
    disks = {"blobs", "data", *(["database"] if database == "sqlite" else [])}
    for name in ("mairust_disk_free_bytes", "mairust_disk_size_bytes"):
        assert set(found[name].samples) == {f'{name}{{of="{of}"}}' for of in disks}
        assert all(value > 0 for value in found[name].samples.values())


def test_r_mon_1_every_series_is_in_the_reference(served: Served) -> None:
    """And what stands there is told."""
    page = (CHECKOUT / "docs" / "reference" / "metrics.md").read_text("utf-8")
    assert set(re.findall(r"`(mairust_[a-z_]+)", page)) == set(read(told(served)))


def test_r_mon_1_no_two_names_are_one_without_total(served: Served) -> None:
    """OpenMetrics names a counter's family so."""
    names = [name.removesuffix("_total") for name in read(told(served))]
    assert sorted(set(names)) == sorted(names)


def test_r_mon_1_requests_are_counted_by_method_and_status(served: Served) -> None:
    """Those that came before are in the numbers of this one; a method nobody knows is another one."""
    before = samples(told(served))
    with httpx.Client(base_url=served.http.url, trust_env=False, timeout=60) as client:
        for method, path in (("GET", "/health/live"), ("HEAD", "/health/live"), ("POST", "/api/v1/nowhere")):
            client.request(method, path)
        client.request("PROPFIND", "/health/live")
        text = client.get("/metrics").text  # the same connection: those before it are counted
    after = samples(text)
    grown = {key: value - before[key] for key, value in after.items() if "http" in key and "le=" not in key}
    name = "mairust_http_requests_total"
    assert grown[f'{name}{{method="GET",status="2xx"}}'] == 2  # and the first look
    assert grown[f'{name}{{method="HEAD",status="2xx"}}'] == 1
    assert grown[f'{name}{{method="POST",status="4xx"}}'] == 1
    assert grown[f'{name}{{method="other",status="4xx"}}'] == 1
    assert grown["mairust_http_request_seconds_count"] == 5
    assert grown["mairust_http_request_seconds_sum"] > 0


def test_r_mon_1_jobs_that_wait_are_told_by_state_and_age(served: Served) -> None:
    """Due, later, and for how long the oldest has been due."""
    site = served.site
    before = samples(told(served))
    hour_ms, ids = 3_600_000, site.ids  # leased outside of the transaction
    with site.storage.write() as tx:
        new = [
            NewJob(kind="of-nobody", subject="due", run_at_ms=now_ms() - hour_ms),
            NewJob(kind="of-nobody", subject="later", run_at_ms=now_ms() + hour_ms),
        ]
        store.jobs.enqueue(site.storage, tx, ids, new)
    try:
        after = samples(told(served))
    finally:
        with site.storage.write() as tx:
            tx.execute(delete(job).where(job.c.kind == "of-nobody"))
    grown = {key: value - before[key] for key, value in after.items() if key.startswith("mairust_jobs{")}
    assert grown == {
        'mairust_jobs{state="waiting"}': 1,
        'mairust_jobs{state="due"}': 1,
        'mairust_jobs{state="running"}': 0,
        'mairust_jobs{state="held"}': 0,
        'mairust_jobs{state="dead"}': 0,
    }
    assert 3600 <= after["mairust_jobs_oldest_due_seconds"] < 7200


def test_r_mon_1_the_size_of_a_disk_is_that_of_its_file_system(served: Served) -> None:
    """In bytes; what is free is a part of it."""
    found = samples(told(served))
    size = found['mairust_disk_size_bytes{of="data"}']
    assert size == shutil.disk_usage(served.site.settings.data_dir).total
    assert 0 < found['mairust_disk_free_bytes{of="data"}'] <= size


def test_r_mon_1_what_waits_for_the_index_is_counted_up_to_a_limit(served: Served, ann: Account) -> None:
    """Each message once; of very many no more is read than the limit."""
    before = samples(told(served))["mairust_index_waiting"]
    rows = [
        {"account_id": int(ann.id), "received_ms": at, "message_id": at, "tenant_id": DEFAULT_TENANT}
        for at in range(1, 4)
    ]
    with served.site.storage.write() as tx:
        tx.execute(insert(index_queue), rows)
    try:
        after = samples(told(served))["mairust_index_waiting"]
        with served.site.storage.read() as tx:
            counted = [store.indexing.count_queued(tx, limit) for limit in (1, 3, MAX_QUEUED)]
    finally:
        with served.site.storage.write() as tx:
            tx.execute(delete(index_queue).where(index_queue.c.account_id == int(ann.id)))
    assert after - before == 3
    assert counted == [1, 3, after]
