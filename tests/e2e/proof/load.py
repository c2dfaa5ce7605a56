"""Clients that send distinct mails over SMTP, LMTP and the private socket of `deliver` until told to stop."""

from __future__ import annotations

import base64
import itertools
import os
import random
import threading
import time
from collections.abc import Sequence
from types import TracebackType

from mairust_core.model.blob import MEMORY_LIMIT_BYTES
from tests.e2e.proof.ledger import Ledger, Mail, Told
from tests.support.mailbox_client import Dialogue, Endpoint, Lost
from tests.support.server import Server, addresses

SENDER = "sender@proof.example"
UNKNOWN = "nobody@example.org"
PAUSE_S = 0.02
"""After a refusal or a lost connection, so that an outage is no storm."""

_numbers = itertools.count()


class Load:
    """Sends from `clients` connections while its block lasts; every mail is in `ledger`.

    One mail in `large_every` is over 1 MiB and so gets a file of its own; about one in ten also has a
    recipient that does not exist. Connections that end are opened again as long as the server runs.
    """

    def __init__(
        self,
        server: Server,
        ledger: Ledger,
        rng: random.Random,
        *,
        clients: int = 6,
        accounts: int = 4,
        large_every: int = 12,
    ) -> None:
        self.ledger = ledger
        self.failures: list[BaseException] = []
        self._server = server
        self._accounts = addresses(accounts)
        self._large_every = large_every
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(endpoint, random.Random(rng.random())), daemon=True)
            for endpoint in itertools.islice(itertools.cycle(_endpoints(server)), clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if error is None and self.failures:
            raise self.failures[0]

    def wait_for(self, more: int) -> None:
        """Wait until `more` further mails are acknowledged."""
        self.ledger.wait_for(self.ledger.acknowledged + more)

    def _run(self, endpoint: tuple[Endpoint, bool], rng: random.Random) -> None:
        try:
            while not self._stopping.is_set() and self._server.running:
                self._converse(endpoint, rng)
        except BaseException as error:
            self.failures.append(error)

    def _converse(self, endpoint: tuple[Endpoint, bool], rng: random.Random) -> None:
        where, lmtp = endpoint
        try:
            with Dialogue(where, lmtp=lmtp) as client:
                while not self._stopping.is_set():
                    self._send(client, rng)
        except Lost:
            time.sleep(PAUSE_S)

    def _send(self, client: Dialogue, rng: random.Random) -> None:
        mail = make_mail(rng, self._recipients(rng), large=rng.randrange(self._large_every) == 0)
        told = submit(client, self.ledger, mail)
        if Told.STORED not in told.values():
            time.sleep(PAUSE_S)

    def _recipients(self, rng: random.Random) -> Sequence[str]:
        chosen = rng.sample(self._accounts, rng.randint(1, min(3, len(self._accounts))))
        return [*chosen, *([UNKNOWN] if rng.random() < 0.1 else [])]


def submit(client: Dialogue, ledger: Ledger, mail: Mail) -> dict[str, Told]:
    """Send one mail once and note what was said; raises `Lost`."""
    ledger.begin(mail)
    try:
        answers = client.send(SENDER, mail.recipients, mail.content)
    except Lost as lost:
        ledger.settle(mail, lost.heard)
        raise
    ledger.settle(mail, answers)
    return {one: Told.of(answer) for one, answer in answers.items()}


def make_mail(rng: random.Random, recipients: Sequence[str], *, large: bool = False) -> Mail:
    """A mail nobody sent before: of 1–20 KB, or of 1–1.5 MiB, in lines that do not compress."""
    token = f"{os.getpid()}-{next(_numbers)}"
    size = rng.randint(MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES * 3 // 2) if large else rng.randint(1, 20_000)
    head = f"Message-ID: <{token}@proof.example>\r\nSubject: proof {token}\r\n\r\n".encode()
    return Mail(
        token=token, recipients=tuple(recipients), content=head + _lines(rng.randbytes(size * 3 // 4))
    )


def _lines(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def _endpoints(server: Server) -> list[tuple[Endpoint, bool]]:
    return [(server.smtp, False), (server.lmtp, True), (server.deliver, True)]
