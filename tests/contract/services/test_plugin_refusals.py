"""Packages that are refused: each for its own reason, and nothing of them is left (trap H6, rule G5)."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import func, select

from mairust_core.app import opened
from mairust_core.config import load_settings
from mairust_core.errors import Forbidden, Invalid, MaiRustError, TooLarge
from mairust_core.first_run import create_site
from mairust_core.model.plugin_forms import PluginState
from mairust_core.operations import BytesIn
from mairust_core.plugins.arriving import Reader
from mairust_core.plugins.manifest import on_paper
from mairust_core.plugins.package import keys
from mairust_core.services.plugins import Plugins
from mairust_core.services.trust import Trust
from mairust_core.store.tables import metadata
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.hostile import HOSTILE, SMALL
from tests.support.linking import TESTER, manifest_text, new_id
from tests.support.packaging import Marketplace, Signing, body, install, key_id, made

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SMALL_ONLY = ("too large", *(name for name in HOSTILE if name.startswith("bomb")))
"""What only small limits are reached by."""
LOOKING_AHEAD = 'type = "pre_receive"\nfilter = {subject_matches = "(?=x)"}'
UNSETTLED = {"process_number", "auth_failure", "upkeep", "schedule", "job", "generation"}
"""Tables that a running server writes by itself."""


@dataclass(kw_only=True)
class Revoking(Marketplace):
    """A marketplace that took a key back."""

    stolen: Ed25519PrivateKey = field(default_factory=keys.generate)


@pytest.fixture(scope="module")
def market(served: Served) -> Revoking:
    """One that the site trusts."""
    found = Revoking()
    found.trusted_on(served.site)
    served.here(Trust).import_revocations(found.revoke(1, [key_id(found.stolen)]))
    return found


@contextmanager
def unchanged(served: Served) -> Iterator[None]:
    """Every row of every table and every file of the data directory is as it was before the block."""
    before = state(served)
    yield
    assert state(served) == before


def state(served: Served) -> tuple[dict[str, int], list[str]]:
    """How many rows each table has, and which files there are."""
    with served.site.storage.read() as tx:
        rows = {
            table.name: tx.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
            if table.name not in UNSETTLED
        }
    root = served.site.settings.data_dir
    files = [os.path.join(where, name) for where, _, names in os.walk(root) for name in names]
    return rows, sorted(re.sub(r"mairust\.db-(wal|shm)$", "", one) for one in files)


def signed(market: Marketplace, text: str = "", **changed: Any) -> bytes:
    """A package under a key that the marketplace certified, but for what is changed."""
    key = keys.generate()
    signing = Signing(key=key, certificate=market.certify(key), developer=keys.generate())
    return made(text or manifest_text(new_id()), replace(signing, **changed))


def certified(market: Marketplace, after: float, until: float) -> bytes:
    """A package under a certificate of another time."""
    key = keys.generate()
    return signed(market, key=key, certificate=market.certify(key, after=after, until=until))


def by_stranger(market: Marketplace) -> bytes:
    """A package under a key that somebody else certified."""
    key = keys.generate()
    return signed(market, key=key, certificate=Marketplace().certify(key))


REFUSED: dict[str, tuple[Callable[[Revoking], bytes], type[MaiRustError], str]] = {
    "unknown key": (lambda m: signed(m, key=keys.generate(), certificate=None), Invalid, "not trusted here"),
    "certified by a stranger": (by_stranger, Invalid, "not trusted here"),
    "revoked key": (
        lambda m: signed(m, key=m.stolen, certificate=m.certify(m.stolen)), Forbidden, "key that was revoked",
    ),
    "expired certificate": (lambda m: certified(m, -9, -1), Invalid, "was valid until"),
    "early certificate": (lambda m: certified(m, 1, 9), Invalid, "is valid from"),
    "expired licence": (
        lambda m: signed(m, manifest_text("com.example.l"), licence=m.license("com.example.l", until=-1)),
        Invalid, "was valid until",
    ),
    "licence of a stranger": (
        lambda m: signed(m, manifest_text("com.example.l"), licence=Marketplace().license("com.example.l")),
        Invalid, "not trusted here",
    ),
    "licence for another": (
        lambda m: signed(m, licence=m.license("com.example.other")), Invalid, "com.example.other",
    ),
    "newer MaiRust": (
        lambda m: signed(m, compat('mairust_min = "99.0.0"')), Invalid, r"99\.0\.0, and this is MaiRust",
    ),
    "older MaiRust": (
        lambda m: signed(m, compat('mairust_max = "0.0.1"')), Invalid, r"0\.0\.1, and this is MaiRust",
    ),
    "reserved id": (lambda m: signed(m, manifest_text("mairust.spam")), Invalid, "reserved"),
    "depends": (lambda m: signed(m, 'depends = ["x"]\n' + manifest_text(new_id())), Invalid, "depend"),
    "filter": (
        lambda m: signed(m, manifest_text(new_id(), LOOKING_AHEAD)),
        Invalid, "filter",
    ),
}  # fmt: skip


def compat(line: str) -> str:
    """The plugin.toml of a plugin for other versions of MaiRust."""
    return manifest_text(new_id(), more=f"[compat]\n{line}\n")


@pytest.mark.parametrize("name", REFUSED)
def test_rule_g5_what_nobody_stands_for_is_refused(
    ops: Ops, served: Served, market: Revoking, name: str
) -> None:
    """By a signature, a certificate, a licence, or what it says of itself."""
    make, kind, why = REFUSED[name]
    data = make(market)
    with unchanged(served), pytest.raises(kind, match=why):
        ops(Plugins).install(body(data))


def test_trap_h6_hostile_archives_leave_nothing(served: Served) -> None:
    """Over the API of a running site, all of them: its tables and its data directory are as before."""
    with unchanged(served):
        for name, (make, _) in HOSTILE.items():
            if name not in SMALL_ONLY:
                with pytest.raises(Invalid):
                    served.there(Plugins).install(body(make()))


def test_trap_h6_what_is_too_large_leaves_nothing(served: Served) -> None:
    """Bombs and crowds, with limits that a test reaches, and the end of a body that has none."""
    reader = Reader(served.site.storage, served.site.settings.data_dir, on_paper(), SMALL)
    with unchanged(served):
        for name in SMALL_ONLY:
            with pytest.raises((Invalid, TooLarge)), reader.arrived(TESTER, body(HOSTILE[name][0]())):
                pass
        endless = BytesIn(chunks=itertools.repeat(bytes(1 << 20)))
        with pytest.raises(TooLarge):
            served.here(Plugins).install(endless)


def test_a_body_of_another_type_is_refused(served: Served) -> None:
    """Mail is no package."""
    head = {"Authorization": f"Bearer {served.admin_key}", "Content-Type": "message/rfc822"}
    answer = httpx.post(f"{served.http.url}/api/v1/plugins", content=b"x", headers=head)
    assert answer.status_code == 415


@pytest.mark.parametrize("kind", ["application/gzip", "application/octet-stream"])
def test_a_package_may_be_called_what_it_is_to_other_programs(served: Served, kind: str) -> None:
    """Contract §5: it is a gzip tar; what is in it is judged by what it is."""
    head = {"Authorization": f"Bearer {served.admin_key}", "Content-Type": kind}
    url, data = f"{served.http.url}/api/v1/plugins", made(manifest_text(new_id()))
    assert httpx.post(url, content=data, headers=head, timeout=60).status_code == 201


_sockets: list[str] = []
_heard = False


def _hear(event: str, _: object) -> None:
    if _heard and event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        _sockets.append(event)


def test_nobody_outside_is_asked(tmp_path: Path) -> None:
    """Trusting, installing, approving and revoking work without any network: nothing tries to reach it."""
    global _heard
    settings = load_settings(data_dir=tmp_path, env={})
    create_site(settings, "tester")
    market = Marketplace()
    key = keys.generate()
    signing = Signing(key=key, certificate=market.certify(key), developer=keys.generate())
    data = made(manifest_text(new_id()), signing)
    sys.addaudithook(_hear)
    with opened(settings) as site:
        _heard = True
        try:
            market.trusted_on(site)
            id_ = install(site, data).id
            site.service(Plugins, TESTER).approve(id_)
            site.unpacked.have([site.runnable(TESTER, id_)])
            assert site.service(Trust, TESTER).import_revocations(market.revoke(1, [market.id])).blocked
            assert _sockets == []
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.connect(("127.0.0.1", 1))
            assert _sockets == ["socket.connect"], "it would have been heard"
        finally:
            _heard = False


def test_without_allow_unsigned_nothing_unsigned_comes_in(tmp_path: Path) -> None:
    """Neither without any signature, nor with that of a developer alone; what is signed does."""
    settings = load_settings(data_dir=tmp_path, env={})
    create_site(settings, "tester")
    market = Marketplace()
    with opened(settings) as site:
        market.trusted_on(site)
        for signing in (None, Signing(developer=keys.generate())):
            with pytest.raises(Forbidden, match="signed ones only"):
                install(site, made(manifest_text(new_id()), signing))
        done = install(site, made(manifest_text(new_id()), Signing(key=market.root)))
        assert done.state is PluginState.PENDING
        assert site.service(Plugins, TESTER).approve(done.id).state is PluginState.ENABLED


def test_an_unsigned_plugin_is_not_approved_once_they_are_not_allowed(tmp_path: Path) -> None:
    """Whatever was allowed when it came in."""
    create_site(load_settings(data_dir=tmp_path, env={}), "tester")
    lenient = load_settings(data_dir=tmp_path, env={}, overrides={"plugins.allow_unsigned": True})
    with opened(lenient) as site:
        id_ = install(site, made(manifest_text(new_id()))).id
    strict = load_settings(data_dir=tmp_path, env={})
    with opened(strict) as site, pytest.raises(Forbidden, match="signed ones only"):
        site.service(Plugins, TESTER).approve(id_)
