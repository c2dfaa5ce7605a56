"""Trap A6: up or down, and nothing more."""

from __future__ import annotations

import fcntl
import time

from tests.integration.api.conftest import Web
from tests.support.exposition import samples


def test_trap_a6_health_says_up_and_nothing_else(web: Web) -> None:
    """Neither endpoint needs a key nor tells anything but its word."""
    for path in ("/health/live", "/health/ready"):
        answer = web.client.get(path, headers={"authorization": "Bearer x"})
        assert (answer.status_code, answer.content) == (200, b"up\n")
        assert answer.headers["content-type"].startswith("text/plain")


def test_ready_is_down_while_nothing_can_be_written(web: Web) -> None:
    """Without a transaction the node is not ready; it stays alive, and recovers by itself."""
    with open(web.site.settings.data_dir / "write.lock", "rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wait_for(web, 503)
        assert web.client.get("/health/ready").content == b"down\n"
        assert web.client.get("/health/live").content == b"up\n"
    wait_for(web, 200)


def test_r_mon_1_a_monitor_is_told_whether_the_node_is_ready(web: Web) -> None:
    """The same as a load balancer, as a number."""
    with open(web.site.settings.data_dir / "write.lock", "rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wait_for(web, 503)
        assert samples(web.client.get("/metrics").text)["mairust_ready"] == 0
    wait_for(web, 200)
    assert samples(web.client.get("/metrics").text)["mairust_ready"] == 1


def wait_for(web: Web, status: int) -> None:
    """Ask until the answer has the status."""
    deadline = time.monotonic() + 60
    while web.client.get("/health/ready").status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)
