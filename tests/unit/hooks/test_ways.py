"""What of the network is the site's own, and where plugins reach it (rule H2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mairust_core.config import load_settings
from mairust_core.hooks.transport import Call, CallFailed
from mairust_core.hooks.ways import Ways
from mairust_core.model.plugin import Protocol
from tests.support.hooking import NoCredentials, runnable

SET = {
    "smtp.listen": "0.0.0.0:25",
    "lmtp.listen": "unix:/run/lmtp.sock",
    "http.listen": "127.0.0.1:8025",
    "database.url": "postgresql://db.example/mail",
    "blobs.s3.endpoint_url": "https://s3.example:9000",
}


def _ways(path: Path, listening: Mapping[str, tuple[str, int]] | None = None, **more: str) -> Ways:
    settings = load_settings(data_dir=path, env={}, overrides={**SET, **more})
    return Ways(settings, NoCredentials(), lambda: listening or {})


def test_rule_h2_listeners_database_and_blob_store_are_our_own(tmp_path: Path) -> None:
    """As they are set, whether a server runs or not, and as they are, when ports were free ones."""
    set_ = [("0.0.0.0", 25), ("127.0.0.1", 8025), ("db.example", 5432), ("s3.example", 9000)]
    assert [*_ways(tmp_path).site.listeners()] == set_
    running = {"lmtp": ("::1", 24), "http": ("127.0.0.1", 40_001)}
    assert [*_ways(tmp_path, running).site.listeners()] == [("::1", 24), ("127.0.0.1", 40_001), *set_]


@pytest.mark.parametrize(
    ("url", "at"),
    [
        ("postgresql://u@/db?host=127.0.0.1&port=5433", {("127.0.0.1", 5433)}),
        ("postgresql://u@/db?host=a.example,b.example&port=1,2", {("a.example", 1), ("b.example", 2)}),
        ("postgresql://u@a.example/db?hostaddr=192.0.2.9", {("a.example", 5432), ("192.0.2.9", 5432)}),
        ("postgresql://u@[::1]:5433/db", {("::1", 5433)}),
        ("postgresql://u@/db?host=/run/postgresql", set()),
    ],
)
def test_rule_h2_a_database_is_where_its_driver_looks_for_it(
    tmp_path: Path, url: str, at: set[tuple[str, int]]
) -> None:
    """Hosts may stand in the query, be several, or be addresses beside a name."""
    kept = {("0.0.0.0", 25), ("127.0.0.1", 8025), ("s3.example", 9000)}
    assert {*_ways(tmp_path, {}, **{"database.url": url}).site.listeners()} - kept == at


def test_rule_h2_the_blob_store_has_the_port_of_its_scheme(tmp_path: Path) -> None:
    """As whoever connects to it takes it."""
    ways = _ways(tmp_path, {}, **{"blobs.s3.endpoint_url": "http://s3.example"})
    assert ("s3.example", 80) in [*ways.site.listeners()]


def test_rule_h2_a_database_is_known_by_its_addresses_too(tmp_path: Path) -> None:
    """From the moment on that plugins can be asked: a name is resolved then."""
    ways = _ways(tmp_path, {}, **{"database.url": "postgresql://localhost:5433/mail"})
    assert ("127.0.0.1", 5433) not in [*ways.site.listeners()]
    ways.by_protocol[Protocol.HTTP]()
    assert ("127.0.0.1", 5433) in [*ways.site.listeners()]


def test_rule_h2_only_the_http_listener_takes_callbacks(tmp_path: Path) -> None:
    """Not the others, nor the database."""
    running = {"smtp": ("127.0.0.1", 40_000), "http": ("127.0.0.1", 40_001)}
    assert [*_ways(tmp_path, running).site.callbacks()] == [("127.0.0.1", 40_001), ("127.0.0.1", 8025)]
    closed = _ways(tmp_path, {"smtp": ("127.0.0.1", 40_000)}, **{"http.listen": "off"})
    assert [*closed.site.callbacks()] == []


@pytest.mark.parametrize(
    ("listening", "more", "base"),
    [
        ({}, {}, ""),
        ({"smtp": ("127.0.0.1", 25)}, {}, ""),
        ({"http": ("127.0.0.1", 80)}, {}, "http://127.0.0.1:80"),
        ({"http": ("::1", 80)}, {}, "http://[::1]:80"),
        ({}, {"plugins.callback_url": "https://mx.example/"}, "https://mx.example"),
    ],
)
def test_callbacks_go_to_the_http_listener_or_where_the_settings_say(
    tmp_path: Path, listening: Mapping[str, tuple[str, int]], more: dict[str, str], base: str
) -> None:
    """Nowhere when there is none."""
    assert _ways(tmp_path, listening, **more).callback_base() == base


def test_there_is_a_way_for_every_protocol_of_a_plugin_toml(tmp_path: Path) -> None:
    """But for those of extensions."""
    assert _ways(tmp_path).by_protocol.keys() == {*Protocol} - {Protocol.EXTENSION}


async def test_rule_g6_a_plugin_inside_is_asked_while_its_extension_is_installed(tmp_path: Path) -> None:
    """Without it the call fails, so that its hook answers on_error."""
    settings = load_settings(data_dir=tmp_path, env={})
    ways = Ways(settings, NoCredentials(), dict, lambda: {"com.example.test": lambda request: request})
    opened = ways.open_transport("inprocess")
    assert opened is not None
    call = Call(delivery_id="d", hook="h", body=b'{"a": 1}', timeout_ms=5000)
    assert (await opened(runnable()).call(call)).body == b'{"a": 1}'
    with pytest.raises(CallFailed, match="no extension that is installed here has it"):
        opened(runnable("com.example.other"))
    assert ways.open_transport("acme") is None
