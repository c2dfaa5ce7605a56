"""One bad member harms nobody else: in a batch (rule C4), among the blobs (trap D6), among connections."""

from __future__ import annotations

import random
import threading
from pathlib import Path

from mairust_core.errors import Damaged
from mairust_core.services.messages import Messages
from tests.e2e.proof.audit import audit, summaries
from tests.e2e.proof.ledger import Ledger, Told
from tests.e2e.proof.load import Load, make_mail, submit
from tests.support.mailbox_client import Dialogue, Lost
from tests.support.server import TESTER, Server, Site, addresses, make_site

FULL = "user0@example.org"
QUOTA_BYTES = 100
OPEN_FILES = 80


def test_rule_c4_a_batch_member_that_cannot_be_stored_harms_no_other(
    tmp_path: Path, ledger: Ledger, rng: random.Random
) -> None:
    """Among mails committed together the one for a full mailbox gets 452, alone; the others are stored."""
    site = make_site(tmp_path / "site", quotas={FULL: QUOTA_BYTES})
    recipients = [address for address in addresses(4) if address != FULL] * 5
    with Server(site=site) as server:
        answers = _send_at_once(server, ledger, rng, [*recipients, FULL, FULL])
    assert answers == [Told.STORED] * len(recipients) + [Told.REFUSED] * 2
    assert ledger.answers["452 4.2.2"] == 2
    audit(site, ledger)


def _send_at_once(server: Server, ledger: Ledger, rng: random.Random, recipients: list[str]) -> list[Told]:
    """One mail to each, on a connection each, whose contents end at the same moment."""
    ready = threading.Barrier(len(recipients))
    told: dict[int, Told] = {}

    def send(index: int, recipient: str, seed: float) -> None:
        mail = make_mail(random.Random(seed), [recipient])
        with Dialogue(server.smtp) as client:
            ready.wait()
            told[index] = submit(client, ledger, mail)[recipient]

    threads = [
        threading.Thread(target=send, args=(index, recipient, rng.random()))
        for index, recipient in enumerate(recipients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [told[index] for index in range(len(recipients))]


def test_trap_d6_a_corrupt_blob_is_named_and_stops_nothing_else(
    sqlite_site: Site, ledger: Ledger, rng: random.Random
) -> None:
    """`message show` of it is a clear error; the list, the other messages and new mail are as ever."""
    with Server(site=sqlite_site) as server:
        with Dialogue(server.smtp) as client:
            for _ in range(3):
                submit(client, ledger, make_mail(rng, [FULL]))
        _spoil_the_second_record(sqlite_site)
        whole, damaged = _sorted_by_fate(sqlite_site)
        shown = sqlite_site.command("message", "show", damaged, "--original")
        assert (shown.returncode, shown.stdout) == (1, b"")
        assert b"is damaged" in shown.stderr
        assert b"Traceback" not in shown.stderr
        for message_id in whole:
            assert sqlite_site.command("message", "show", message_id, "--original").returncode == 0
        listed = sqlite_site.command("message", "list", "--account", FULL)
        assert listed.returncode == 0
        assert damaged.encode() in listed.stdout
        with Dialogue(server.smtp) as client:
            assert submit(client, ledger, make_mail(rng, [FULL])) == {FULL: Told.STORED}


def _spoil_the_second_record(site: Site) -> None:
    """Turn one bit in the middle of the segment."""
    (segment,) = (site.directory / "blobs" / "segments").iterdir()
    data = bytearray(segment.read_bytes())
    second = data.index(b"\x8bMRblob\n", 1)
    data[second + 100] ^= 1
    segment.write_bytes(data)


def _sorted_by_fate(site: Site) -> tuple[list[str], str]:
    """The ids of the whole messages, and that of the damaged one."""
    whole, damaged = [], []
    with site.opened() as here:
        for summary in summaries(here, FULL):
            message_id = str(int(summary.id))
            try:
                here.service(Messages, TESTER).raw(message_id, original=True)
            except Damaged:
                damaged.append(message_id)
            else:
                whole.append(message_id)
    (only,) = damaged
    return whole, only


def test_trap_s12_no_descriptors_left_refuses_and_recovers(
    sqlite_site: Site, ledger: Ledger, rng: random.Random
) -> None:
    """With more connections than descriptors mail in flight is kept; when they go, service is as before."""
    with Server(site=sqlite_site, wrapper=["prlimit", f"--nofile={OPEN_FILES}"]) as server:
        crowd = []
        with Load(server, ledger, rng, clients=3) as load:
            load.wait_for(10)
            for _ in range(OPEN_FILES):
                try:
                    crowd.append(Dialogue(server.smtp, timeout_s=0.5))
                except (Lost, AssertionError):
                    break
            for client in crowd:
                client.close()
            load.wait_for(20)
        assert server.terminate() == 0
        assert "Too many open files" in server.stderr_file.read_text()
    audit(sqlite_site, ledger)
