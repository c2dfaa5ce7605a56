"""Full and read-only disks, under a serving process and at its start (trap S12)."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from mairust_core import store
from mairust_core.model.alias import NewAlias
from mairust_core.model.domain import NewDomain
from mairust_core.model.job import NewJob
from mairust_core.model.mailbox import NewMailbox
from mairust_core.model.plugin_life import NewPluginToken, TokenScope
from mairust_core.model.principal import Scope
from mairust_core.model.token import NewToken
from mairust_core.operations import BytesIn
from mairust_core.services.aliases import Aliases
from mairust_core.services.domains import Domains
from mairust_core.services.mailboxes import Mailboxes
from mairust_core.services.messages import Messages
from mairust_core.services.plugin_tokens import PluginTokens
from mairust_core.services.registry import SERVICES
from mairust_core.services.tokens import Tokens
from tests.e2e.proof.audit import audit
from tests.e2e.proof.disks import ran_in_namespace, small_disk
from tests.e2e.proof.ledger import Ledger, only_temporary_refusals
from tests.e2e.proof.load import Load
from tests.support.linking import approved, manifest_text, new_id
from tests.support.mailbox_client import Dialogue
from tests.support.packaging import Marketplace
from tests.support.server import (
    TESTER,
    Server,
    ServerFailed,
    Site,
    addresses,
    make_site,
    wait_for_health,
)

DISK_BYTES = 48 << 20


def test_trap_s12_a_full_disk_refuses_with_452_loses_nothing_and_service_resumes(
    request: pytest.FixtureRequest, ledger: Ledger, rng: random.Random, tmp_path: Path
) -> None:
    """Filled to the last byte in mid-load: 452 4.3.1; with room again mail is taken, without a restart."""
    if ran_in_namespace(request, tmp_path):
        return
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        site = make_site(disk.path)
        with Server(site=site) as server:
            with Load(server, ledger, rng, clients=12) as load:
                load.wait_for(20)
                filler = disk.fill()
                ledger.wait_for_answer("452 4.3.1", 20)
                filler.unlink()
                load.wait_for(20)
            assert only_temporary_refusals(ledger), ledger.answers
            server.kill()
        audit(site, ledger)


def test_a_read_only_directory_is_told_and_nothing_is_served(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """`serve` on a read-only disk ends with a clear error that names the directory."""
    if ran_in_namespace(request, tmp_path):
        return
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        site = make_site(disk.path)
        disk.remount("ro")
        with pytest.raises(ServerFailed, match=r"exit 78: .*bad_config.* cannot be written to"):
            Server(site=site).start()


@pytest.mark.parametrize("running", [True, False], ids=["served", "stopped"])
def test_rule_j3_on_a_full_disk_accounts_can_be_removed_and_collected(
    request: pytest.FixtureRequest, tmp_path: Path, running: bool
) -> None:
    """With not one byte left, deleting works from the room kept for it; health says down."""
    if ran_in_namespace(request, tmp_path):
        return
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        site = make_site(disk.path / "site")
        kept = {"MAIRUST_NODE__RESERVE_SIZE": "32MiB"}
        with Server(site=site, http="127.0.0.1:0", env=kept) as server:
            with Dialogue(server.smtp) as client:
                for number in range(50):
                    mail = (
                        b"Subject: %d\r\n\r\n" % number + random.Random(number).randbytes(9000).hex().encode()
                    )
                    client.send("bob@example.com", ["user0@example.org"], mail + b"\r\n")
            wait_for_health(server, 200)
            if not running:
                assert server.terminate() == 0
            filler = disk.fill()
            if running:
                wait_for_health(server, 503)
            assert site.command("account", "remove", "user0@example.org", "--yes").returncode == 0
            collected = site.command("gc", "--json")
            assert collected.returncode == 0, collected.stdout
            assert json.loads(collected.stdout)["messages"] == 50
            filler.unlink()
            if running:
                wait_for_health(server, 200)


@pytest.mark.parametrize("remote", [False, True], ids=["local", "remote"])
def test_rule_j3_on_a_full_disk_everything_can_be_deleted(
    request: pytest.FixtureRequest, tmp_path: Path, remote: bool
) -> None:
    """One command after the other, each with not one byte left, beside a server or through it."""
    if ran_in_namespace(request, tmp_path):
        return
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        site = make_site(disk.path / "site")
        kept = {"MAIRUST_NODE__RESERVE_SIZE": "32MiB"}
        with Server(site=site, http="127.0.0.1:0", env=kept) as server:
            wait_for_health(server, 200)
            where = [
                "--server",
                f"http://{server.ready['http']}",
                "--token-file",
                site.directory / "admin.token",
            ]
            deletions = _deletions(site)
            assert set(deletions) == {*DELETIONS, "messages.delete now"}
            for command in deletions.values():
                filler = disk.fill()
                done = site.command(*command, "--json", *(where if remote else ()))
                assert done.returncode == 0, (command, done.stdout, done.stderr)
                assert not (site.directory / "reserve").exists()
                filler.unlink()
                collected = site.command("gc", "--quiet")  # which puts the room back
                assert collected.returncode == 0, collected.stderr
                assert (site.directory / "reserve").exists()


DELETIONS = {
    operation.id
    for service in SERVICES
    for operation in service.operations.values()
    if operation.method == "DELETE"
} | {"jobs.discard_all"}
"""What has the reserve to work with."""


def _deletions(site: Site) -> dict[str, list[str]]:
    """A command for every operation that deletes, each of something of its own."""
    ann, bob = addresses(2)
    with (site.directory / "mairust.toml").open("a") as config:
        config.write("[plugins]\nallow_unsigned = true\n")
    with site.opened() as here:
        ids = here.service(Messages, TESTER)
        first, second = (
            str(ids.append(ann, BytesIn(chunks=[b"Subject: %d\r\n\r\nx\r\n" % number])).id)
            for number in range(2)
        )
        here.service(Mailboxes, TESTER).create(ann, NewMailbox(name="Old"))
        ids.append(ann, BytesIn(chunks=[b"Subject: old\r\n\r\nx\r\n"]), mailbox="Old")
        here.service(Aliases, TESTER).add(NewAlias(address="sales@example.org", to=(ann,)))
        here.service(Domains, TESTER).add(NewDomain(name="other.example"))
        token = here.service(Tokens, TESTER).create(NewToken(name="t", scopes=(Scope.READ,))).token.id
        new = [NewJob(kind="nobody's") for _ in range(2)]
        ids_of_jobs = here.ids
        with here.storage.write() as tx:
            job = store.jobs.enqueue(here.storage, tx, ids_of_jobs, new)[0]
        plugins = [approved(here, site.directory.with_name(name), manifest_text(new_id())) for name in "pq"]
        metrics = NewPluginToken(scopes=(TokenScope.METRICS,))
        issued = here.service(PluginTokens, TESTER).create(plugins[0], metrics).token.id
        root = Marketplace().trusted_on(here).id
    return {
        "messages.delete": ["message", "delete", first, "--yes"],
        "messages.delete now": ["message", "delete", second, "--now", "--yes"],
        "mailboxes.delete": ["mailbox", "delete", "Old", "--account", ann, "--yes"],
        "aliases.remove": ["alias", "remove", "sales@example.org", "--yes"],
        "tokens.revoke": ["token", "revoke", token],
        "jobs.discard": ["job", "discard", str(job), "--yes"],
        "jobs.discard_all": ["job", "discard", "--all", "--yes"],
        "plugintokens.revoke": ["plugin", "token", "revoke", plugins[0], issued],
        "trust.remove": ["trust", "remove", root, "--yes"],
        "hooks.remove": ["hook", "remove", f"{plugins[0]}:pre_receive", "--yes"],
        "plugins.remove": ["plugin", "remove", plugins[1], "--yes"],
        "index.drop": ["index", "drop", "--yes"],
        "accounts.remove": ["account", "remove", bob, "--yes"],
        "domains.remove": ["domain", "remove", "other.example", "--yes"],
    }
