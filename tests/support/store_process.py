"""A process at work on a store: `python -m tests.support.store_process WORK DATA_DIR URL COUNT`.

    commit    COUNT batches of mail to every account, in an order of its own
    churn     COUNT times: an account is made, gets the same few mails as everybody, and is removed
    change    COUNT random changes of the mail of one account, each a transaction or a few
    collect   COUNT collections in turn with other processes, nothing being too young

It prints `ready`, waits for a line, works, and prints what it did as JSON. It dies with its parent.
"""

from __future__ import annotations

import ctypes
import json
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mairust_core import store
from mairust_core.app import opened
from mairust_core.errors import Damaged, Locked
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Locator
from mairust_core.model.delivery import Stored
from mairust_core.receive.collection import Ages, Collection
from tests.support.changes import Changes
from tests.support.stores import ADMIN, Kit, open_kit, settings_for

_PR_SET_PDEATHSIG = 1
TURN_S = 0.005
AT_ONCE = Ages(condemned_s=-1, leftover_s=3, sealed_s=-1)
"""Files wait a little: between their publication and their row's commit nothing else protects them."""


def commit(kit: Kit, count: int) -> object:
    """Batches to all accounts; how many copies were stored, and which errors came."""
    accounts = [int(str(row[0])) for row in kit.rows("SELECT id FROM account")]
    chance = random.Random()
    stored, errors = 0, []
    for _ in range(count):
        chance.shuffle(accounts)
        batch = [kit.mail(*sorted(accounts[: chance.randint(1, 3)]), trace=True) for _ in range(8)]
        for one in kit.commit(*batch):
            if isinstance(one, Stored):
                stored += len(one.ids)
            else:
                errors.append(repr(one))
    return {"stored": stored, "errors": errors}


def texts() -> list[bytes]:
    """The mails that everybody gets: four small ones and a large one."""
    small = [f"Message-ID: <{n}@same>\r\nSubject: {n}\r\n\r\n{'x' * 500}\r\n".encode() for n in range(4)]
    large = b"Message-ID: <large@same>\r\nSubject: large\r\n\r\n" + b"y" * (MEMORY_LIMIT_BYTES + 5)
    return [*small, large]


def churn(kit: Kit, count: int) -> object:
    """Accounts that come and go with the same contents, each of which is read while the account lives."""
    errors: list[str] = []
    for number in range(count):
        address = f"p{kit.ids.process}n{number}@example.org"
        account = kit.account(address)
        for text in random.sample(texts(), 2):
            errors += [
                repr(one) for one in kit.commit(kit.mail(account, data=text)) if not isinstance(one, Stored)
            ]
        errors += _unreadable(kit, account)
        with kit.storage.write() as tx:
            store.accounts.remove(tx, ADMIN, address)
    return {"errors": errors}


def _unreadable(kit: Kit, account: int) -> list[str]:
    errors: list[str] = []
    for _ in range(2):
        for (message_id,) in kit.rows("SELECT id FROM message WHERE account_id = ?", account):
            errors += _read(kit, message_id)
    return errors


def _read(kit: Kit, message_id: object) -> list[str]:
    """Read one message's bytes; its row again as long as compaction moves them."""
    before = None
    while True:
        [(location, sha256)] = kit.rows(
            "SELECT b.location, b.sha256 FROM message m JOIN blob b"
            " ON b.sha256 = m.sha256 AND b.tenant_id = m.tenant_id WHERE m.id = ?",
            message_id,
        )
        assert isinstance(sha256, bytes)
        try:
            kit.blobs.get(Locator(str(location)), sha256)
        except Damaged as error:
            if location == before:
                return [repr(error)]
            before = location
        else:
            return []


def change(kit: Kit, count: int) -> object:
    """Random changes of an account that others change too; deadlocks, if any."""
    [(address,), *_] = kit.rows("SELECT address FROM account ORDER BY id")
    with opened(kit.settings) as site:
        changes = Changes(site=site, address=str(address), chance=random.Random(), alone=False)
        changes.run(count)
    return {"deadlocks": changes.deadlocks}


def collect(kit: Kit, count: int) -> object:
    """Collections without a rest, taking turns with other collectors; what they deleted."""
    runs = blobs = segments = 0
    while runs < count:
        try:
            done = Collection(kit.storage, kit.blobs, AT_ONCE, rest=lambda _: None).run()
        except Locked:
            time.sleep(TURN_S)
            continue
        runs, blobs, segments = runs + 1, blobs + done.blobs, segments + done.segments
    return {"runs": runs, "blobs": blobs, "segments": segments}


WORK: dict[str, Callable[[Kit, int], object]] = {
    "commit": commit,
    "churn": churn,
    "change": change,
    "collect": collect,
}


def main(work: str, data_dir: str, url: str, count: str) -> None:
    """Work and tell."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with open_kit(settings_for(Path(data_dir), url), roll_bytes=1) as kit:
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(WORK[work](kit, int(count))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
